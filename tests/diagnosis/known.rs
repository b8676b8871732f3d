//! Every known defect reaches the operator: as a reason against active defrag
//! where it is off, as an upgrade where it is on.

use redis_frag::model::advice::Action;
use redis_frag::model::known_issues::{Condition, KNOWN_ISSUES, Kind, KnownIssue};
use redis_frag::model::server::Flavour;

use super::made_up::{Case, MEGABYTE, Memory};

fn instance_with(issue: &KnownIssue) -> Case {
    let flavour = match issue.flavour {
        Flavour::Valkey => format!("valkey_version:{}\n", issue.since),
        _ => String::new(),
    };
    let memory = Memory {
        fragmented: 300 * MEGABYTE,
        more: "db0:keys=90000,expires=80000,avg_ttl=0\n".to_owned(),
        ..Memory::default()
    };
    // The first of a repeated name stands.
    let version = format!("{flavour}redis_version:{}\n", issue.since);
    let mut case = Case::of(version + &memory.info());
    if issue.condition == Condition::EqualThresholds {
        case.lower = Some(100);
    }
    case
}

#[test]
fn every_known_defect_is_told_and_advised_on() {
    for issue in KNOWN_ISSUES {
        let mut case = instance_with(issue);
        let off = case.diagnose();
        let told = off.known_issues.contains(&issue.id);
        assert_eq!(told, issue.kind != Kind::Figures, "{}", issue.id);
        let bars = matches!(issue.kind, Kind::Crash | Kind::Stall);
        let mut defrag = off.advice.iter();
        let defrag = defrag.find(|advice| advice.action == Action::ActiveDefrag);
        assert!(
            !bars || defrag.is_some_and(|advice| advice.refused),
            "{}",
            issue.id
        );
        assert!(
            off.advice
                .iter()
                .all(|advice| advice.action != Action::Upgrade),
            "{} does not strike while defrag is off",
            issue.id
        );

        case.enabled = Some(true);
        let on = case.diagnose();
        let upgrade = on.advice.iter().any(|advice| {
            advice.action == Action::Upgrade
                && advice.why.contains(issue.effect)
                && advice.caution == issue.remedy
        });
        assert_eq!(upgrade, issue.kind != Kind::Figures, "{}", issue.id);
    }
}

#[test]
fn every_kind_and_condition_is_in_the_table() {
    for kind in [Kind::Crash, Kind::Stall, Kind::Side, Kind::Figures] {
        assert!(KNOWN_ISSUES.iter().any(|issue| issue.kind == kind));
    }
    for condition in [
        Condition::Defrag,
        Condition::ManyVolatileKeys,
        Condition::EqualThresholds,
    ] {
        let mut issues = KNOWN_ISSUES.iter();
        assert!(issues.any(|issue| issue.condition == condition));
    }
}
