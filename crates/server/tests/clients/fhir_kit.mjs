// Drives a running server with fhir-kit-client as its users would; ends with 0 when every step held.
// Arguments: base address, bearer token.
import assert from 'node:assert/strict';
import { Client } from 'fhir-kit-client';

const [baseUrl, token] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken: token });
const status = (error) => error?.response?.status ?? error?.status;
async function refused(work, expected) {
  try {
    await work;
  } catch (error) {
    assert.equal(status(error), expected, String(error));
    return error;
  }
  assert.fail(`expected ${expected}`);
}
const ids = (bundle) => (bundle.entry ?? []).filter((e) => e.search?.mode !== 'include').map((e) => e.resource.id);

const capabilities = await client.capabilityStatement();
assert.equal(capabilities.resourceType, 'CapabilityStatement');
assert.equal(capabilities.fhirVersion, '4.0.1');

// Create, read, version read, update, patch, history, delete.
const patient = await client.create({
  resourceType: 'Patient',
  body: { resourceType: 'Patient', active: true, name: [{ family: 'Ångström', given: ['Ida'] }], birthDate: '1951-02-03' },
});
assert.ok(patient.id);
const read = await client.read({ resourceType: 'Patient', id: patient.id });
assert.deepEqual(read.name, patient.name);
const updated = await client.update({ resourceType: 'Patient', id: patient.id, body: { ...read, gender: 'female' } });
assert.equal(updated.meta.versionId, '2');
const patched = await client.patch({
  resourceType: 'Patient',
  id: patient.id,
  jsonPatch: [{ op: 'test', path: '/gender', value: 'female' }, { op: 'add', path: '/telecom', value: [{ system: 'phone', value: '01632 960001' }] }],
});
assert.equal(patched.telecom[0].value, '01632 960001');
const first = await client.vread({ resourceType: 'Patient', id: patient.id, version: '1' });
assert.equal(first.gender, undefined);
const history = await client.resourceHistory({ resourceType: 'Patient', id: patient.id });
assert.equal(history.total ?? history.entry.length, 3);

// A transaction whose entries point at each other.
const answer = await client.transaction({
  body: {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      { fullUrl: 'urn:uuid:9a0c7c2e-7f5a-4b52-9b5e-000000000001', resource: { resourceType: 'Organization', name: 'Harbour Surgery' }, request: { method: 'POST', url: 'Organization' } },
      ...[...Array(7).keys()].map((n) => ({
        fullUrl: `urn:uuid:9a0c7c2e-7f5a-4b52-9b5e-0000000001${String(n).padStart(2, '0')}`,
        resource: {
          resourceType: 'Observation', status: 'final',
          code: { coding: [{ system: 'http://loinc.org', code: n < 5 ? '8480-6' : '8462-4' }] },
          subject: { reference: `Patient/${patient.id}` },
          performer: [{ reference: 'urn:uuid:9a0c7c2e-7f5a-4b52-9b5e-000000000001' }],
          effectiveDateTime: `2026-03-0${n + 1}T10:00:00Z`,
          valueQuantity: { value: 120 + n, unit: 'mmHg', system: 'http://unitsofmeasure.org', code: 'mm[Hg]' },
        },
        request: { method: 'POST', url: 'Observation' },
      })),
    ],
  },
});
assert.equal(answer.entry.length, 8);

// Search by every common shape, with paging.
let page = await client.search({ resourceType: 'Observation', searchParams: { subject: `Patient/${patient.id}`, code: 'http://loinc.org|8480-6', date: 'ge2026-03-02', _sort: '-date', _count: 2 } });
const dates = [];
while (page) {
  dates.push(...page.entry.map((entry) => entry.resource.effectiveDateTime));
  page = await client.nextPage({ bundle: page });
}
assert.deepEqual(dates, ['05', '04', '03', '02'].map((day) => `2026-03-${day}T10:00:00Z`));
const chained = await client.search({ resourceType: 'Observation', searchParams: { 'subject:Patient.family': 'angstrom', 'performer:Organization.name': 'harbour', _summary: 'count' } });
assert.equal(chained.total, 7);
const having = await client.search({ resourceType: 'Patient', searchParams: { '_has:Observation:subject:code': '8462-4' } });
assert.deepEqual(ids(having), [patient.id]);
const included = await client.search({ resourceType: 'Observation', searchParams: { code: '8462-4', _include: ['Observation:subject', 'Observation:performer'] } });
assert.deepEqual(included.entry.filter((e) => e.search.mode === 'include').map((e) => e.resource.resourceType).sort(), ['Organization', 'Patient']);
const compartment = await client.compartmentSearch({ compartment: { resourceType: 'Patient', id: patient.id }, resourceType: 'Observation', searchParams: { code: '8462-4' } });
assert.equal(compartment.entry.length, 2);
const posted = await client.search({ resourceType: 'Patient', searchParams: { family: 'Ångström' }, options: { postSearch: true } });
assert.deepEqual(ids(posted), [patient.id]);

// Operations.
const everything = await client.operation({ name: 'everything', resourceType: 'Patient', id: patient.id, method: 'GET' });
assert.equal(everything.entry.filter((e) => e.resource.resourceType === 'Observation').length, 7);
const judged = await client.operation({ name: 'validate', resourceType: 'Patient', input: { resourceType: 'Patient', gender: 'femal' } });
assert.ok(judged.issue.some((issue) => issue.severity === 'error'));
const looked = await client.operation({ name: 'validate-code', resourceType: 'ValueSet', method: 'GET', input: { url: 'http://hl7.org/fhir/ValueSet/administrative-gender', system: 'http://hl7.org/fhir/administrative-gender', code: 'female' } });
assert.equal(looked.parameter.find((part) => part.name === 'result').valueBoolean, true);

// What is refused is refused with a reason.
await refused(client.search({ resourceType: 'Patient', searchParams: { nonsense: 'x' } }), 400);
await refused(client.read({ resourceType: 'Patient', id: 'nobody' }), 404);
await refused(client.update({ resourceType: 'Patient', id: patient.id, body: { ...read }, options: { headers: { 'If-Match': 'W/"1"' } } }), 412);

await client.delete({ resourceType: 'Patient', id: (await client.create({ resourceType: 'Patient', body: { resourceType: 'Patient' } })).id });
console.log('every step held');
