"""Files of evidence over REST, by the rules of the page: type by the bytes, fixed bounds, each step a leaf."""

import hashlib
import uuid
from collections import defaultdict
from typing import Any, ClassVar

from django.contrib.auth.decorators import login_not_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponseBase
from django.utils.decorators import method_decorator
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audits.access import get_case
from audits.api import conflict
from audits.content import file_document
from audits.downloads import evidence_response
from audits.evidence import Place, Upload, add_evidence, files_of, get_file, place_in
from audits.filetypes import MAX_BYTES
from audits.models import Case, CaseEvent, EvidenceFile
from audits.serializers import EvidenceInput
from audits.workflow import NotAllowed
from tenants.actors import Actor
from tenants.context import tenant_atomic
from tenants.ids import uuid7_time
from tenants.permissions import actor_of
from tenants.problems import as_problem
from traces.api import PROBLEM

PAGE_SIZE = 100
FORM_BYTES = 64 * 1024  # what the other parts of a form may take
AFTER = OpenApiParameter("after", OpenApiTypes.INT, description="From the last page's `after`")
PLACES = ("request", "item", "finding", "supersedes")


class LengthRequired(exceptions.APIException):
    """Without a length the end of a file is a guess, and a file that ended early would be kept as whole."""

    status_code = 411
    default_detail = "Send the file with a Content-Length."
    default_code = "length_required"


class FileTooLarge(exceptions.APIException):
    """Refused by its length, before any of it is read."""

    status_code = 413
    default_detail = f"The file is larger than {MAX_BYTES // 2**20} MiB; send an extract, or its SHA-256 and place."
    default_code = "file_too_large"


@method_decorator(login_not_required, name="dispatch")
class CaseFiles(APIView):
    """The files of a case with their custody, by number; and handing one in."""

    permissions: ClassVar[dict[str, str]] = {"GET": "case.read", "POST": "case.create"}
    parser_classes = (MultiPartParser,)

    @extend_schema(operation_id="files_list", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        actor, after = actor_of(request), request.query_params.get("after", "0")
        if not after.isdecimal():
            raise exceptions.ParseError("after is a number from an earlier page.")
        with tenant_atomic(actor.tenant_id):
            rows = files_of(get_case(actor, pk)).filter(number__gt=int(after[:9]))
            found = list(rows[: PAGE_SIZE + 1])
            shown = found[:PAGE_SIZE]
            items = file_entries(shown)
        return Response({"items": items, "after": shown[-1].number if len(found) > PAGE_SIZE else None})

    @extend_schema(
        operation_id="files_create",
        request={"multipart/form-data": EvidenceInput},
        responses={201: OpenApiTypes.OBJECT, 400: PROBLEM, 403: PROBLEM, 409: PROBLEM, 411: PROBLEM, 413: PROBLEM},
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        actor = actor_of(request)
        refuse_by_length(request)
        form = EvidenceInput(data=request.data)
        form.is_valid(raise_exception=True)
        said = form.validated_data
        upload = upload_of(said)
        with tenant_atomic(actor.tenant_id):
            case = get_case(actor, pk)
            try:
                with as_problem():
                    row = add_evidence(by=actor, case=case, upload=upload, place=_place(case, said))
            except NotAllowed as error:
                return conflict(error)
            return Response(_told(actor, case, row), status=201, headers={"Location": f"{request.path}/{row.number}"})


@method_decorator(login_not_required, name="dispatch")
class CaseFile(APIView):
    """One file as it was handed in; its reading is part of its custody."""

    permissions: ClassVar[dict[str, str]] = {"GET": "case.read"}

    @extend_schema(operation_id="files_retrieve", responses={(200, "*/*"): OpenApiTypes.BINARY, 404: PROBLEM})
    def get(self, request: Request, pk: uuid.UUID, number: int) -> HttpResponseBase:
        actor = actor_of(request)
        with tenant_atomic(actor.tenant_id):
            case = get_case(actor, pk)
            return evidence_response(actor, case, get_file(actor, case, number))


def refuse_by_length(request: Request) -> None:
    """Raises `LengthRequired`, or `FileTooLarge` for a body that no file within bounds could have."""
    length = request.headers.get("Content-Length", "")
    if not (length.isascii() and length.isdecimal()):
        raise LengthRequired
    if int(length[:19]) > MAX_BYTES + FORM_BYTES:
        raise FileTooLarge


def upload_of(said: dict[str, Any]) -> Upload:
    """The file that came, if it is the one that was sent."""
    file: UploadedFile = said["file"]
    if (file.size or 0) > MAX_BYTES:
        raise FileTooLarge
    data = file.read()
    arrived = hashlib.sha256(data).hexdigest()
    if said.get("sha256", arrived) != arrived:
        raise exceptions.ValidationError({"sha256": f"The bytes that arrived have another: {arrived}."})
    return Upload(file.name or "", data, said["source"], said["expires"])


def _place(case: Case, said: dict[str, Any]) -> Place:
    return place_in(case, **{name: said[name] for name in PLACES})


def _told(actor: Actor, case: Case, row: EvidenceFile) -> dict[str, Any]:
    return file_entries([get_file(actor, case, row.number)])[0]


def file_entries(files: list[EvidenceFile]) -> list[dict[str, Any]]:
    """Each file as the bundle tells of it, with what replaced it and who had it in hand."""
    custody: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for event in CaseEvent.objects.filter(file__in=[file.pk for file in files]).order_by("id"):
        line = {"event": str(event.pk), "at": uuid7_time(event.pk), "action": event.action, "by": event.actor_label}
        custody[event.file_id].append(line)
    return [
        file_document(file)
        | {
            "superseded_by": next((row.number for row in file.superseded_by.all()), None),
            "custody": custody[file.pk],
        }
        for file in files
    ]
