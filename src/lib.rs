//! warmkeep keeps a host's warm apps deployed, current and healthy, and takes back version *and data* of an upgrade
//! that is not. The promise: no upgrade loses data or leaves an app down, whatever dies in the middle.
//!
//! # The rooms
//!
//! Data flows one way: [`config`] → observe ([`driver`], [`health`], [`versions`]) → [`plan`] → [`engine`] →
//! [`record`]. [`snapshot`] copies data and takes it back, [`rebuild`] upgrades the system itself, [`night`] does all of it
//! in order. [`units`] turns a configuration into systemd units. [`alert`] and [`status`] are what people read, [`cli`]
//! is how they ask, [`demo`] shows it all. Everything that touches the operating system goes through [`sys`].
//!
//! # The invariants
//!
//! - [`plan`] and the gates are pure: no clock, no file, no environment. What a dry run prints is what a run executes.
//! - A journal record is durable before its step acts; every step can run again after it was interrupted anywhere.
//! - Data is exchanged only for what was verified bit by bit, and a snapshot is never consumed by that.
//! - A document that is corrupt, or newer than this version, is an error that names it; nothing is guessed.
//! - An error carries its cause and its remedy, is printed once, and never becomes success.
//!
//! ARCHITECTURE.md has the map, the reasons, and why each dependency is one.

pub mod alert;
pub mod cli;
pub mod config;
pub mod credential;
pub mod demo;
pub mod driver;
pub mod engine;
pub mod error;
pub mod health;
pub mod id;
pub mod night;
mod percent;
pub mod plan;
pub mod rebuild;
pub mod record;
pub mod snapshot;
pub mod status;
pub mod sys;
pub mod units;
pub mod version;
pub mod versions;
