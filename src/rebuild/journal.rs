//! An unfinished rebuild, as it is written down before each of its steps acts. One document: it is replaced as a whole,
//! and [`Stage::may_follow`] is the one place that knows what may come after what.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::closure::Diff;
use super::flake::Flake;
use super::report::{Outcome, Step};
use crate::config::model::RebuildAction;
use crate::id::RunId;
use crate::record::report::StepReport;

/// How often a step is begun anew after it was interrupted and left no result.
pub const ATTEMPTS: u32 = 2;

/// How far a rebuild has come: the step that is about to act, or acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The new system is built. Nothing of the host is touched.
    Building,
    /// The profile is set to it.
    SettingProfile,
    /// It is activated.
    Activating,
    /// The profile is put back.
    RestoringProfile,
    /// What boots is put back, where that is another system than the one that ran.
    RestoringBoot,
    /// The system that ran before is activated again.
    ActivatingPrevious,
    /// How it ended is settled, and is about to be told.
    Closing,
}

impl Stage {
    /// Whether a rebuild may go from one stage to another. The same again is always right: each can be repeated.
    pub fn may_follow(self, next: Self) -> bool {
        use Stage::{
            Activating, ActivatingPrevious, Building, Closing, RestoringBoot, RestoringProfile,
            SettingProfile,
        };
        self == next
            || match self {
                Building => matches!(next, SettingProfile | Activating),
                SettingProfile => matches!(next, Activating | RestoringProfile),
                Activating => matches!(next, RestoringProfile | ActivatingPrevious | Closing),
                RestoringProfile => matches!(next, RestoringBoot | ActivatingPrevious | Closing),
                // A way back that failed is gone from its beginning.
                RestoringBoot => matches!(next, RestoringProfile | ActivatingPrevious | Closing),
                ActivatingPrevious => matches!(next, RestoringProfile | Closing),
                Closing => false,
            }
    }

    /// The step that it is told as.
    pub fn step(self) -> Step {
        match self {
            Self::Building => Step::Build,
            Self::SettingProfile => Step::SetProfile,
            Self::Activating => Step::Activate,
            Self::RestoringProfile => Step::RestoreProfile,
            Self::RestoringBoot => Step::RestoreBoot,
            Self::ActivatingPrevious => Step::ActivatePrevious,
            Self::Closing => Step::Close,
        }
    }
}

/// The system as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Before {
    /// The store path that ran.
    pub running: PathBuf,
    /// The store path of the profile.
    pub profile: Option<PathBuf>,
    /// Its generation.
    pub generation: Option<u64>,
    /// The units that had failed.
    pub failed_units: BTreeSet<String>,
}

/// What `switch-to-configuration` is asked, and of which system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The store path.
    pub system: PathBuf,
    /// The action.
    pub action: RebuildAction,
}

/// Why a rebuild goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnedBack {
    /// Why.
    pub cause: String,
    /// What the rebuild is once it is back. Of a rebuild that activated nothing only the profile has to go back.
    pub outcome: Outcome,
}

/// How a rebuild ended, before it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settled {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, for an outcome that is no success.
    pub cause: Option<String>,
    /// The units that have failed now.
    pub failed_units: BTreeSet<String>,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// Schema of the document.
    pub schema: u64,
    /// The run that began it.
    pub run: RunId,
    /// When.
    pub started_at: Timestamp,
    /// What is done with the new system.
    pub action: RebuildAction,
    /// The system as it was found.
    pub before: Before,
    /// What it is built from.
    pub flake: Flake,
    /// The new system's store path; null while it is built.
    pub to: Option<PathBuf>,
    /// What it changes.
    pub diff: Option<Diff>,
    /// How far it has come.
    pub stage: Stage,
    /// Which stage of this rebuild it is, counted from 1.
    pub serial: u32,
    /// How often the order of this stage was given.
    pub attempts: u32,
    /// Why it goes back.
    pub turned_back: Option<TurnedBack>,
    /// Why the way back failed, the last time it was tried.
    pub stuck: Option<String>,
    /// How it ended.
    pub settled: Option<Settled>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The steps that have ended.
    pub steps: Vec<StepReport>,
}

impl Journal {
    /// What `switch-to-configuration` has to be asked in a stage; `None`: nothing.
    ///
    /// Back it goes to exactly what was there: where the profile was not what ran, both are put back, each in its place.
    pub fn order(&self, stage: Stage) -> Option<Order> {
        let order = |system: &PathBuf, action| Some(Order { system: system.clone(), action });
        let before = &self.before;
        let apart = before.profile.as_ref().filter(|profile| **profile != before.running);
        match stage {
            Stage::Activating => order(self.to.as_ref()?, self.action),
            Stage::RestoringBoot => match self.action {
                RebuildAction::Test => None,
                RebuildAction::Boot => order(before.profile.as_ref()?, RebuildAction::Boot),
                RebuildAction::Switch => order(apart?, RebuildAction::Boot),
            },
            Stage::ActivatingPrevious => match self.action {
                RebuildAction::Boot => None,
                RebuildAction::Switch if apart.is_none() => order(&before.running, RebuildAction::Switch),
                RebuildAction::Switch | RebuildAction::Test => order(&before.running, RebuildAction::Test),
            },
            _ => None,
        }
    }

    /// The stages of the way back, in their order.
    pub fn way_back(&self) -> Vec<Stage> {
        let mut stages = Vec::new();
        if self.action != RebuildAction::Test {
            stages.push(Stage::RestoringProfile);
        }
        if self.turned_back.as_ref().is_none_or(|back| back.outcome == Outcome::RolledBack) {
            let orders = [Stage::RestoringBoot, Stage::ActivatingPrevious];
            stages.extend(orders.into_iter().filter(|stage| self.order(*stage).is_some()));
        }
        stages
    }

    /// The words that tell a run of `switch-to-configuration` of this stage from any other.
    pub fn mark(&self) -> String {
        format!("{}{} {}", self.mark_of_all(), self.serial, self.stage.step().word())
    }

    /// What all marks of this rebuild begin with.
    pub fn mark_of_all(&self) -> String {
        format!("warmkeep rebuild {} ", self.run)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::rebuild) fn journal(action: RebuildAction, stage: Stage) -> Journal {
        let at = Timestamp::from_second(1_795_260_849).unwrap();
        Journal {
            schema: 1,
            run: RunId::new().unwrap(),
            started_at: at,
            action,
            before: Before {
                running: "/nix/store/old".into(),
                profile: Some("/nix/store/old".into()),
                generation: Some(7),
                failed_units: BTreeSet::new(),
            },
            flake: Flake { url: "path:/f".into(), revision: None, last_modified: Some(at) },
            to: Some("/nix/store/new".into()),
            diff: None,
            stage,
            serial: 1,
            attempts: 1,
            turned_back: None,
            stuck: None,
            settled: None,
            notes: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn back(journal: &Journal) -> Vec<(Stage, Option<(String, RebuildAction)>)> {
        let told = |order: Order| (order.system.display().to_string(), order.action);
        journal.way_back().into_iter().map(|stage| (stage, journal.order(stage).map(told))).collect()
    }

    #[test]
    fn a_switch_goes_back_by_a_switch_to_what_ran() {
        let old = ("/nix/store/old".to_owned(), RebuildAction::Switch);
        assert_eq!(
            back(&journal(RebuildAction::Switch, Stage::Activating)),
            [(Stage::RestoringProfile, None), (Stage::ActivatingPrevious, Some(old))]
        );
    }

    #[test]
    fn where_the_profile_was_not_what_ran_each_goes_back_to_its_own() {
        let mut journal = journal(RebuildAction::Switch, Stage::Activating);
        journal.before.profile = Some("/nix/store/profile".into());
        assert_eq!(
            back(&journal),
            [
                (Stage::RestoringProfile, None),
                (Stage::RestoringBoot, Some(("/nix/store/profile".to_owned(), RebuildAction::Boot))),
                (Stage::ActivatingPrevious, Some(("/nix/store/old".to_owned(), RebuildAction::Test))),
            ]
        );
    }

    #[test]
    fn what_was_only_set_for_the_next_boot_or_only_tested_goes_back_by_the_same_way() {
        let old = |action| Some(("/nix/store/old".to_owned(), action));
        assert_eq!(
            back(&journal(RebuildAction::Boot, Stage::Activating)),
            [(Stage::RestoringProfile, None), (Stage::RestoringBoot, old(RebuildAction::Boot))]
        );
        assert_eq!(
            back(&journal(RebuildAction::Test, Stage::Activating)),
            [(Stage::ActivatingPrevious, old(RebuildAction::Test))]
        );
    }

    #[test]
    fn where_nothing_was_activated_only_the_profile_goes_back() {
        let mut journal = journal(RebuildAction::Switch, Stage::Activating);
        journal.turned_back = Some(TurnedBack { cause: "another one runs".into(), outcome: Outcome::Busy });
        assert_eq!(back(&journal), [(Stage::RestoringProfile, None)]);
    }

    #[test]
    fn every_way_that_is_gone_is_a_legal_one() {
        for action in [RebuildAction::Switch, RebuildAction::Boot, RebuildAction::Test] {
            for profile in ["/nix/store/old", "/nix/store/profile"] {
                let mut journal = journal(action, Stage::Building);
                journal.before.profile = Some(profile.into());
                let forward = [Stage::SettingProfile, Stage::Activating];
                let forward = forward.into_iter().skip(usize::from(action == RebuildAction::Test));
                let there: Vec<Stage> = [Stage::Building]
                    .into_iter()
                    .chain(forward)
                    .chain(journal.way_back())
                    .chain([Stage::Closing])
                    .collect();
                for step in there.windows(2) {
                    assert!(step[0].may_follow(step[1]), "{step:?}");
                }
            }
        }
        for action in [RebuildAction::Switch, RebuildAction::Boot, RebuildAction::Test] {
            let mut journal = journal(action, Stage::Activating);
            journal.before.profile = Some("/nix/store/profile".into());
            let way = journal.way_back();
            for failed in &way {
                assert!(failed.may_follow(way[0]), "a way back that failed at {failed:?} is gone again");
            }
        }
        assert!(!Stage::Building.may_follow(Stage::Closing), "what was never touched is forgotten");
        assert!(!Stage::Closing.may_follow(Stage::Activating));
        assert!(!Stage::ActivatingPrevious.may_follow(Stage::Activating));
    }

    #[test]
    fn a_journal_comes_back_as_it_was_written() {
        let journal = journal(RebuildAction::Boot, Stage::RestoringBoot);
        let text = serde_json::to_string(&journal).unwrap();
        assert!(text.contains(r#""action":"boot""#) && text.contains(r#""stage":"restoringBoot""#), "{text}");
        assert_eq!(serde_json::from_str::<Journal>(&text).unwrap(), journal);
    }
}
