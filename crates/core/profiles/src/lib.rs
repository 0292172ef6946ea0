//! Profiles (FHIR R4, section 5): packages read, snapshots generated from differentials, resources
//! validated against them with location, expression and remedy. Pure: packages come in as bytes.
