//! The decision pipeline of Remit, sans I/O: events in, steps out. No host call, clock, randomness or I/O.
#![forbid(unsafe_code)]

pub mod action;
pub mod approval;
pub mod audit;
pub mod body;
pub mod bundle;
pub mod config;
pub mod decision;
pub mod delegation;
mod der;
pub mod dpop;
pub mod effect;
pub mod engine;
pub mod exchange;
pub mod facts;
pub mod ids;
pub mod input;
pub mod json;
pub mod keys;
mod ordered;
pub mod policy;
pub mod proto;
pub mod reason;
pub mod registry;
mod remembered;
pub mod request;
pub mod revocation;
pub mod shape;
pub mod source;
pub mod statistics;
pub mod status;
pub mod token;
