"""Drives a running server with fhirpy as its users would; ends with 0 when every step held.

Arguments: base address, bearer token.
"""

import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import (
    MultipleResourcesFound,
    OperationOutcome,
    ResourceNotFound,
)


def refused(kind, work):
    try:
        work()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}")


def people(client):
    patient = client.resource(
        "Patient",
        name=[{"family": "Okonkwo", "given": ["Ada"]}],
        identifier=[{"system": "urn:test:hospital", "value": "H-77"}],
        birthDate="1944-11-30",
    )
    patient.save()
    assert patient.id
    again = client.reference("Patient", patient.id).to_resource()
    assert again.get_by_path(["name", 0, "family"]) == "Okonkwo"
    again["gender"] = "female"
    again.save()
    again.patch(active=True)
    again.refresh()
    assert again["active"] is True
    assert again["gender"] == "female"
    return patient


def events(client, patient):
    for number in range(25):
        condition = client.resource(
            "Condition",
            subject=patient.to_reference(),
            code={"coding": [{"system": "http://snomed.info/sct", "code": str(44054000 + number % 5)}]},
            recordedDate=f"2026-05-{number + 1:02d}",
        )
        condition.save()
    encounter = client.resource(
        "Encounter",
        status="finished",
        subject=patient.to_reference(),
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
    )
    encounter.save()


def searches(client, patient):
    conditions = client.resources("Condition")
    found = conditions.search(subject__Patient__family="okonkwo").sort("-recorded-date").limit(4).fetch_all()
    assert len(found) == 25, len(found)
    dates = [condition["recordedDate"] for condition in found]
    assert dates == sorted(dates, reverse=True)
    assert conditions.search(patient=patient.id, recorded_date__ge="2026-05-11", recorded_date__lt="2026-05-21").count() == 10
    assert conditions.search(code="http://snomed.info/sct|44054001").count() == 5
    having = client.resources("Patient").has("Condition", "subject", code="44054002").fetch()
    assert [one.id for one in having] == [patient.id]
    bundle = client.resources("Encounter").search(subject=f"Patient/{patient.id}").include("Encounter", "subject").fetch_raw()
    kinds = sorted(entry["resource"]["resourceType"] for entry in bundle["entry"])
    assert kinds == ["Encounter", "Patient"], kinds
    back = client.resources("Patient").search(_id=patient.id).revinclude("Encounter", "subject").fetch_raw()
    kinds = sorted(entry["resource"]["resourceType"] for entry in back["entry"])
    assert kinds == ["Encounter", "Patient"], kinds
    cut = client.resources("Patient").search(_id=patient.id).elements("birthDate").first()
    assert "name" not in cut and cut["birthDate"] == "1944-11-30"


def conditions_on_writes(client, patient):
    one, created = client.resources("Patient").search(identifier="urn:test:hospital|H-77").get_or_create(
        client.resource("Patient", identifier=[{"system": "urn:test:hospital", "value": "H-77"}])
    )
    assert not created and one.id == patient.id
    refused(MultipleResourcesFound, lambda: client.resources("Condition").search(patient=patient.id).get())
    refused(ResourceNotFound, lambda: client.reference("Patient", "nobody").to_resource())
    refused(OperationOutcome, lambda: client.resources("Patient").search(nonsense="x").fetch())


def operations(client, patient):
    everything = client.execute(f"Patient/{patient.id}/$everything", method="get")
    kinds = {entry["resource"]["resourceType"] for entry in everything["entry"]}
    assert {"Patient", "Condition", "Encounter"} <= kinds, kinds
    refused(OperationOutcome, lambda: client.resource("Patient", gender="femal").save())


def main():
    base, token = sys.argv[1:]
    client = SyncFHIRClient(base, authorization=f"Bearer {token}")
    patient = people(client)
    events(client, patient)
    searches(client, patient)
    conditions_on_writes(client, patient)
    operations(client, patient)
    print("every step held")


main()
