//! The HTTP edge: FHIR REST, ledger and product API over the use-cases.
