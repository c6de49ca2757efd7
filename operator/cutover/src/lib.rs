//! Cutting DNS over behind gates, with a way back: plans, providers, checks, rollback.
