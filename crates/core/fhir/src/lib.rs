//! The FHIR R4 tree, definition tables, validation and search-parameter extraction.
