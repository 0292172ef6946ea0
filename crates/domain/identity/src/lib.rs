//! Users, roles, policies, scopes and break-glass: who may do what, and why.
