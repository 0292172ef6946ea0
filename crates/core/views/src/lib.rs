//! SQL on FHIR v2: a ViewDefinition is compiled once and turns resources into rows. Pure: where rows go
//! and where resources come from is the caller's.
