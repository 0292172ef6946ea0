//! The pages: server-rendered, accessible, working without JavaScript.
