//! What follows from what the nodes of a cluster, or Sentinels, say over time: whose
//! watch begins, gets other labels, or ends.
//!
//! Pure: views in, steps out. Must not ask anybody or watch anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::config::job::clean_name;
use crate::source::topology::{Member, Place, Role};

/// Views in a row that lack a member before it is ended: those of several nodes differ
/// for a moment while one joins or leaves.
const MISSED: u32 = 3;

/// Longest name of a job (`clean_name`).
const LONGEST_NAME: usize = 100;

/// The shard of who has no slots.
const NO_SHARD: &str = "none";

/// Labels of a member.
pub(super) type Labels = BTreeMap<String, String>;

/// What is to be done with a member, known by its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// End its watch.
    End(String),
    /// Give its charts these labels.
    Relabel(String, Labels),
    /// Begin its watch.
    Start(Start),
}

/// A watch to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Start {
    /// Whose.
    pub(super) id: String,
    /// Name of the job, which no other member has.
    pub(super) name: String,
    /// Where it listens.
    pub(super) place: Place,
    /// Its labels.
    pub(super) labels: Labels,
    /// Whether its absence is no outage yet: it was down when it was first seen.
    pub(super) quiet: bool,
}

/// Says whether a name is in use.
pub(super) type Taken = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The members of one job.
pub(super) struct Members {
    /// Name of the job that follows them.
    job: String,
    /// Whether somebody else has a name.
    elsewhere: Taken,
    /// Labels of the operator's.
    labels: Labels,
    known: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Known {
    shard: Option<String>,
    /// Its watch, where it has one.
    watch: Option<Watched>,
    missed: u32,
    healthy: bool,
}

#[derive(Debug)]
struct Watched {
    name: String,
    place: Place,
    labels: Labels,
}

impl Members {
    /// Nobody yet. `job` and `labels` are those of the job that follows them; `elsewhere`
    /// says whether somebody else has a name.
    pub(super) fn new(job: &str, labels: &Labels, elsewhere: Taken) -> Self {
        Self {
            job: job.to_owned(),
            elsewhere,
            labels: labels.clone(),
            known: BTreeMap::new(),
        }
    }

    /// Where members that are watched listen, those that are well first.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut watched: Vec<(&Known, &Watched)> = self
            .known
            .values()
            .filter_map(|known| Some((known, known.watch.as_ref()?)))
            .collect();
        watched.sort_by_key(|(known, _)| !known.healthy);
        let places = watched.into_iter().map(|(_, watch)| watch.place.clone());
        places.collect()
    }

    /// Whether another should be asked before this view counts: somebody is missing in
    /// it, or to its teller most are down, who may be the one that is cut off.
    pub(super) fn doubts(&self, view: &[Member]) -> bool {
        let well = view.iter().filter(|member| member.healthy).count();
        self.shared(view) < self.known.len() || 2 * well < view.len()
    }

    /// How much of what is known a view has: of several, the greatest counts.
    pub(super) fn weight(&self, view: &[Member]) -> (usize, usize) {
        let well = view.iter().filter(|member| member.healthy).count();
        (self.shared(view), well)
    }

    /// Whether a view is that of a node which has left: it knows itself alone and serves
    /// nothing (`CLUSTER RESET`).
    pub(super) fn has_left(&self, view: &[Member]) -> bool {
        let lone = matches!(view, [one] if one.node_id.is_some() && one.slots.is_empty());
        lone && self.known.len() > 1
    }

    fn shared(&self, view: &[Member]) -> usize {
        let known = |member: &&Member| self.known.contains_key(&member.id);
        view.iter().filter(known).count()
    }

    /// Takes a view and says what is to be done, in this order.
    pub(super) fn see(&mut self, view: &[Member]) -> Vec<Step> {
        let mut steps = self.miss(view);
        self.know(view);
        let mut relabels = Vec::new();
        let mut starts = Vec::new();
        let holders = self.holders(view);
        steps.extend(self.displace(&holders));
        for member in view {
            let labels = self.labels_of(member);
            let Some(known) = self.known.get_mut(&member.id) else {
                continue;
            };
            let displaced = member
                .place
                .as_ref()
                .is_some_and(|place| holders.get(place) != Some(&member.id.as_str()));
            // Where its place is not told it is still where it was.
            let moved = |watch: &Watched| member.place.as_ref().is_some_and(|p| *p != watch.place);
            if known.watch.as_ref().is_some_and(moved) {
                known.watch = None;
                steps.push(Step::End(member.id.clone()));
            }
            match (&mut known.watch, &member.place) {
                (Some(watch), _) if watch.labels != labels => {
                    watch.labels.clone_from(&labels);
                    relabels.push(Step::Relabel(member.id.clone(), labels));
                }
                (None, Some(place)) if !displaced => {
                    starts.push((member, place, labels));
                }
                _ => {}
            }
        }
        steps.extend(relabels);
        for (member, place, labels) in starts {
            steps.push(Step::Start(self.start(member, place, labels)));
        }
        steps
    }

    /// Counts the views that lack a member, and ends it when there were enough.
    fn miss(&mut self, view: &[Member]) -> Vec<Step> {
        let there: BTreeSet<&str> = view.iter().map(|member| member.id.as_str()).collect();
        let mut ended = Vec::new();
        self.known.retain(|id, known| {
            known.missed = if there.contains(id.as_str()) {
                0
            } else {
                known.missed + 1
            };
            let stays = known.missed < MISSED;
            if !stays && known.watch.is_some() {
                ended.push(Step::End(id.clone()));
            }
            stays
        });
        ended
    }

    /// Notes everybody with the shard that each belongs to. A primary keeps the shard
    /// that it had; a replica has its primary's.
    fn know(&mut self, view: &[Member]) {
        let (primaries, replicas): (Vec<&Member>, Vec<&Member>) =
            view.iter().partition(|member| member.role == Role::Primary);
        for member in primaries.into_iter().chain(replicas) {
            let of_primary = member.primary.as_ref().and_then(|id| self.known.get(id));
            let of_primary = of_primary.and_then(|primary| primary.shard.clone());
            let told = member.shard.clone().or(of_primary);
            let known = self.known.entry(member.id.clone()).or_default();
            known.healthy = member.healthy;
            let shard = told.or_else(|| known.shard.take());
            known.shard = shard.or_else(|| name_of(&member.slots));
        }
    }

    /// Ends the watches at places where somebody else is now.
    fn displace(&mut self, holders: &HashMap<&Place, &str>) -> Vec<Step> {
        let mut ended = Vec::new();
        for (id, known) in &mut self.known {
            let place = known.watch.as_ref().map(|watch| &watch.place);
            let holder = place.and_then(|place| holders.get(place));
            if holder.is_some_and(|holder| holder != id) {
                known.watch = None;
                ended.push(Step::End(id.clone()));
            }
        }
        ended
    }

    /// Who is at each place. Two can be told to be: a node that lost its memory came back
    /// under another id, and the one that it was has failed for all the others; later it
    /// has no address (`noaddr`).
    fn holders<'a>(&self, view: &'a [Member]) -> HashMap<&'a Place, &'a str> {
        let mut holders: HashMap<&Place, &Member> = HashMap::new();
        let is_watched = |member: &Member| {
            let known = self.known.get(&member.id);
            known.is_some_and(|known| known.watch.is_some())
        };
        let rank = |member: &Member| (member.healthy, is_watched(member));
        for member in view {
            let Some(place) = &member.place else {
                continue;
            };
            let holder = holders.entry(place).or_insert(member);
            if rank(member) > rank(holder) {
                *holder = member;
            }
        }
        let ids = holders.into_iter();
        ids.map(|(place, member)| (place, member.id.as_str()))
            .collect()
    }

    /// The operator's labels and ours, which go first.
    fn labels_of(&self, member: &Member) -> Labels {
        let mut labels = self.labels.clone();
        let known = self.known.get(&member.id);
        let shard = known.and_then(|known| known.shard.as_deref());
        labels.insert("shard".to_owned(), shard.unwrap_or(NO_SHARD).to_owned());
        labels.insert("role".to_owned(), member.role.name().to_owned());
        if let Some(id) = &member.node_id {
            labels.insert("node_id".to_owned(), id.clone());
        }
        labels
    }

    fn start(&mut self, member: &Member, place: &Place, labels: Labels) -> Start {
        let name = self.free_name(place);
        if let Some(known) = self.known.get_mut(&member.id) {
            known.watch = Some(Watched {
                name: name.clone(),
                place: place.clone(),
                labels: labels.clone(),
            });
        }
        Start {
            id: member.id.clone(),
            name,
            place: place.clone(),
            labels,
            quiet: !member.healthy,
        }
    }

    /// `<job>_<host>_<port>`, fit for chart ids. A long one loses the end of its host,
    /// and of two that become the same the second is numbered.
    fn free_name(&self, place: &Place) -> String {
        let head = format!("{}_{}", self.job, place.host);
        let ends = (1..).map(|number| match number {
            1 => format!("_{}", place.port),
            _ => format!("_{}_{number}", place.port),
        });
        let taken = |name: &String| {
            let mut watched = self.known.values().filter_map(|known| known.watch.as_ref());
            watched.any(|watch| watch.name == *name) || (self.elsewhere)(name)
        };
        let mut names = ends.map(|end| {
            let head: String = head.chars().take(LONGEST_NAME - end.len()).collect();
            clean_name(&format!("{head}{end}"))
        });
        names.find(|name| !taken(name)).unwrap_or(head)
    }
}

/// The first range of slots, with `+` where there are more.
fn name_of(slots: &[(u16, u16)]) -> Option<String> {
    let (first, last) = slots.iter().min()?;
    let more = if slots.len() > 1 { "+" } else { "" };
    Some(format!("{first}-{last}{more}"))
}

#[cfg(test)]
mod tests;
