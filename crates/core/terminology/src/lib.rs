//! Terminology (FHIR R4, section 4): code systems packed for memory, value sets expanded and asked,
//! concepts subsumed and translated. Pure: files and stored resources come in as bytes.
