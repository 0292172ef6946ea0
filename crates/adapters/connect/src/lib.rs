//! Every outbound call of the platform: the egress allow list, address checks, deadlines, retries and
//! signatures. Nothing else opens a connection to the outside. Must not decide what is sent.
