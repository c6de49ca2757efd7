//! Deploying compose stacks to hosts: releases, health gates, hooks, snapshots, rollback.
