"""From the queue to embeddings and assessments: once each, resumable, and gone with the content."""

from unittest import mock

import pytest
from django.db import DatabaseError, connection

from tenants.context import tenant_atomic
from tests.factories.erasures import erase_decision
from tests.factories.tenants import Cast
from tests.factories.traces import a_decision, submit, submit_each
from tests.invariants.worlds import superuser
from tests.traces.meaning.words import Words, vector
from traces.meaning import embedding
from traces.meaning.encoder import signs, unpacked
from traces.models import Assessment, DecisionPayload, Embedding, MeaningQueue, Remark


def embed(cast: Cast, encoder: Words | None = None) -> Words:
    words = encoder or Words()
    embedding.embed(cast.tenant.pk, encoder=words)
    return words


def test_what_is_recorded_is_embedded_once(cast: Cast) -> None:
    (pk,) = submit(cast)
    with tenant_atomic(cast.tenant.pk):
        assert embedding.backlog() == 1
    embed(cast)
    embed(cast)
    with tenant_atomic(cast.tenant.pk):
        row = Embedding.objects.get(pk=pk)
        assert embedding.backlog() == 0
        assert row.asked is not None
        assert row.answered is not None
        assert float(unpacked(row.asked) @ vector("May I borrow 5,000?")) == pytest.approx(1, abs=1e-3)
        assert float(unpacked(row.answered) @ vector("Please send a proof of income first.")) == pytest.approx(1)
        assert row.answered_signs == signs(vector("Please send a proof of income first."))
        names = sorted(Assessment.objects.filter(decision_id=pk).values_list("evaluator", flat=True))
    assert names == ["groundedness", "personal_data", "refusal", "relevance", "toxicity"]


def test_the_same_text_is_encoded_once_and_by_tenant(cast: Cast, stranger: Cast) -> None:
    submit(cast, 3, context=None)
    words = embed(cast)
    assert len(words.encoded) == 2
    submit(cast, context=None)
    assert embed(cast).encoded == []
    submit(stranger, context=None)
    assert len(embed(stranger).encoded) == 2
    with tenant_atomic(cast.tenant.pk):
        mine = {bytes(digest or b"") for digest in Embedding.objects.values_list("asked_digest", flat=True)}
        assert Embedding.objects.count() == 4
    with tenant_atomic(stranger.tenant.pk):
        theirs = {bytes(digest or b"") for digest in Embedding.objects.values_list("asked_digest", flat=True)}
    assert len(mine) == len(theirs) == 1
    assert mine != theirs


def test_a_worker_that_dies_has_done_nothing_and_another_does_it_all(cast: Cast) -> None:
    submit(cast, 2)
    with (
        mock.patch.object(Assessment.objects, "bulk_create", side_effect=DatabaseError("killed")),
        pytest.raises(DatabaseError),
    ):
        embed(cast)
    with tenant_atomic(cast.tenant.pk):
        assert embedding.backlog() == 2
        assert not Embedding.objects.exists()
    embed(cast)
    with tenant_atomic(cast.tenant.pk):
        assert (embedding.backlog(), Embedding.objects.count()) == (0, 2)


def test_what_another_worker_took_is_not_stored_twice(cast: Cast) -> None:
    submit(cast, 2)
    with tenant_atomic(cast.tenant.pk):
        ids, work = embedding._waiting(cast.tenant.pk, 10)
    embed(cast)
    assert embedding.store(cast.tenant.pk, ids, work) == 0
    with tenant_atomic(cast.tenant.pk):
        assert Assessment.objects.filter(evaluator="refusal").count() == 2


def test_erased_content_takes_its_embedding_along(cast: Cast) -> None:
    first, second = submit(cast, 2)
    embed(cast)
    erase_decision(cast, first)
    with tenant_atomic(cast.tenant.pk):
        assert list(Embedding.objects.values_list("pk", flat=True)) == [second]


def test_a_destroyed_key_takes_its_subjects_embeddings_along(cast: Cast) -> None:
    submit(cast)
    (other,) = submit(cast, subject="customer-2")
    embed(cast)
    with tenant_atomic(cast.tenant.pk):
        key_id = Embedding.objects.exclude(pk=other).get().subject_key_id
    with superuser() as connection:  # whoever destroys it: no role of the product does without an erasure
        connection.execute("UPDATE tenants_subjectkey SET wrapped = '' WHERE id = %s", [key_id])
    with tenant_atomic(cast.tenant.pk):
        assert list(Embedding.objects.values_list("pk", flat=True)) == [other]


def test_content_that_goes_while_it_is_embedded_leaves_nothing(cast: Cast) -> None:
    (pk,) = submit(cast)

    class Erasing(Words):
        def __call__(self, texts):  # type: ignore[no-untyped-def]
            with tenant_atomic(cast.tenant.pk):
                there = DecisionPayload.objects.filter(pk=pk).exists()
            if there:
                erase_decision(cast, pk)
            return super().__call__(texts)

    embed(cast, Erasing())
    with tenant_atomic(cast.tenant.pk):
        assert not Embedding.objects.exists()
        assert not Assessment.objects.exists()
        assert not MeaningQueue.objects.exists()


def test_what_outlived_its_content_without_a_trigger_is_found(cast: Cast) -> None:
    submit(cast, 2)
    embed(cast)
    with tenant_atomic(cast.tenant.pk), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE traces_embedding SET id = gen_random_uuid()"
            " WHERE id = (SELECT id FROM traces_embedding ORDER BY id LIMIT 1)"
        )
    assert embedding.forget_orphans(cast.tenant.pk) == 1
    with tenant_atomic(cast.tenant.pk):
        assert Embedding.objects.count() == 1
        assert not Remark.objects.exists()


def test_a_decision_without_text_leaves_the_queue(cast: Cast) -> None:
    submit_each(cast, [a_decision(input={"amount": 5}, output=None, context=None), a_decision(input=[], output="")])
    embed(cast)
    with tenant_atomic(cast.tenant.pk):
        assert embedding.backlog() == 0
        assert Embedding.objects.count() == 1


def test_everything_can_be_read_again(cast: Cast) -> None:
    submit(cast, 2)
    embed(cast)
    embedding.rebuild(cast.tenant.pk)
    with tenant_atomic(cast.tenant.pk):
        assert (embedding.backlog(), Embedding.objects.count()) == (2, 0)
    embed(cast)
    with tenant_atomic(cast.tenant.pk):
        assert Embedding.objects.count() == 2
        assert Assessment.objects.filter(evaluator="refusal").count() == 2
