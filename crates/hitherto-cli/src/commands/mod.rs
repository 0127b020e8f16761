//! One file for each command: its options with their help, and what it does.

pub mod apply;
pub mod audit;
pub mod backup;
pub mod demo;
pub mod doctor;
pub mod get;
pub mod init;
pub mod inspect;
pub mod jobs;
pub mod materialize;
pub mod optimize;
pub mod plan;
pub mod push;
pub mod rollback;
pub mod schema;
pub mod serve;
pub mod token;
pub mod training_set;
pub mod verify;
pub mod whoami;
pub mod why;
