from datetime import UTC, datetime, timedelta
import uuid, json, pytest
from django.test import Client
from tenants.roles import Role
from tests.factories.policies import a_document, put_in_force
from tests.factories.traces import a_decision, submit_each
from tests.factories.telemetry import Made, record_spans, a_wide_trace
from traces.trees.links import LinkTerms, set_apm_link
from traces.trees.apm import PRESETS
from tests.journeys.test_search import a_long_trace, indexed, said, last_tuesday, WEIRD
import random
def test_shots(visitors, cast, site):
    now = datetime.now(UTC)
    rng = random.Random(4)
    put_in_force(cast, a_document(limit=20))
    for kind in ("datadog","jaeger"):
        set_apm_link(by=cast.owner, terms=LinkTerms(PRESETS[kind][0], kind, PRESETS[kind][1]))
    trace = a_long_trace(cast, 400)
    for p in range(3):
        record_spans(cast, uuid.uuid4(), [Made(i+1, None, now - timedelta(minutes=rng.random()*60*24*6.9), ms=rng.expovariate(1/(40+40*p)), instance=f"pod-{p}", is_failed=rng.random()<(.12 if p==2 else .01)) for i in range(900)])
    ds=[]
    for n in range(240):
        at = now - timedelta(minutes=rng.random()*60*24*6.9)
        ds.append(a_decision(occurred_at=at.isoformat(), user=f"u-{n%7}", session=f"s-{n%20}", instance=f"pod-{n%3}", output="An answer that is rather long, and so on." if n%9 else "Short"))
    submit_each(cast, ds)
    hdr={"Authorization": f"Bearer {cast.keys['ingest'].secret}"}
    ev=[{"kind":"deployment","title":"loan-assistant","version":"2.5.0","system":"loan-assistant","occurred_at":(now-timedelta(days=3)).isoformat(),"url":"https://git.example.com/r/1"},
        {"kind":"incident","title":"Database failover","detail":"The primary was replaced.","occurred_at":(now-timedelta(days=2,hours=5)).isoformat(),"ended_at":(now-timedelta(days=2)).isoformat(),"instance":"pod-2"},
        {"kind":"prompt_release","title":"screen v15","system":"loan-assistant","occurred_at":(now-timedelta(days=1)).isoformat()},
        {"kind":"config_change","title":"Timeout of 20 s","occurred_at":(now-timedelta(days=1,minutes=-20)).isoformat()}]
    r=Client().post("/api/v1/events", json.dumps(ev), content_type="application/json", headers=hdr); assert r.status_code==201, r.content
    indexed(cast)
    import time; time.sleep(17)
    pages = {"trace": f"traces/{trace}/", "session":"sessions/?id=s-3","user":"users/?id=u-3","timeline":"timeline/","links":"settings/links/","list":'decisions/?q=rather+long&user=u-3'}
    for width in (1440, 390):
        for who, names in ((Role.AUDITOR, ("trace","session","user","timeline","list")), (Role.OWNER, ("links",))):
            for scheme in (("light","dark") if width==1440 else ("light",)):
                page = visitors.sign_in(cast.people[who], width=width)
                if scheme=="dark": page.emulate_media(color_scheme="dark")
                for name in names:
                    page.goto(f"/t/{cast.tenant.slug}/{pages[name]}")
                    if name=="trace":
                        page.locator(".trace-row a[data-span]", has_text="pre-screening").first.click(); page.wait_for_timeout(600)
                    w=page.evaluate("document.documentElement.scrollWidth-document.documentElement.clientWidth")
                    if w: print("OVERFLOW", name, width, w)
                    page.screenshot(path=f"/tmp/shots/{name}-{width}-{scheme}.png", full_page=(width==390 or name in("list","user","session")))
