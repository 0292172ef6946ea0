//! What tests share: PostgreSQL and Chromium started on demand, fixed clocks and seeded ids.
