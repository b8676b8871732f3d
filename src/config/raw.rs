//! The shape of the file, before anything in it is understood.
//!
//! Every scalar is a text with its place, so that a mistake can be named where it
//! stands; keys nobody knows are kept to be told. Must not judge values.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

/// A scalar, and where it stands.
pub(super) type Text = Spanned<String>;

/// What is done with a key that stands twice: the first holds.
trait Again: Sized {
    fn again(&mut self, _other: Self) {}
}

impl Again for Text {}

/// Two lists of jobs are as good as one, so a mistake costs no job.
impl<T> Again for Vec<T> {
    fn again(&mut self, mut other: Self) {
        self.append(&mut other);
    }
}

/// Declares one mapping of the file: its keys, and the ones that nobody knows.
macro_rules! mapping {
    ($(#[$doc:meta])* $name:ident { $( $key:ident : $ty:ty ),+ $(,)? } expecting $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name {
            $( pub(super) $key: Option<$ty>, )+
            pub(super) unknown: Vec<Text>,
            pub(super) twice: Vec<Text>,
        }

        impl Again for $name {}

        impl $name {
            /// The keys it knows.
            pub(super) const KEYS: &'static [&'static str] = &[$( stringify!($key) ),+];
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Take;
                impl<'de> Visitor<'de> for Take {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_unit<E: de::Error>(self) -> Result<$name, E> {
                        Ok($name::default())
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut taken = $name::default();
                        while let Some(key) = map.next_key::<Text>()? {
                            match key.value.as_str() {
                                $( stringify!($key) => {
                                    let value: Option<$ty> = map.next_value()?;
                                    match (&mut taken.$key, value) {
                                        (Some(first), Some(value)) => {
                                            first.again(value);
                                            taken.twice.push(key);
                                        }
                                        (first, value) => *first = first.take().or(value),
                                    }
                                } )+
                                _ => {
                                    map.next_value::<IgnoredAny>()?;
                                    taken.unknown.push(key);
                                }
                            }
                        }
                        Ok(taken)
                    }
                }
                deserializer.deserialize_map(Take)
            }
        }
    };
}

mapping! {
    /// The whole file.
    RawFile {
        jobs: Vec<Spanned<RawJob>>,
        update_every: Text,
        autodetection_retry: Text,
        priority: Text,
        charts: Vec<Text>,
        discovery: RawDiscovery,
        import_go_d: Text,
    } expecting "keys such as jobs:"
}

mapping! {
    /// One entry of `jobs:`.
    RawJob {
        name: Text,
        address: Text,
        username: Text,
        password: Text,
        timeout: Text,
        tls_ca: Text,
        tls_cert: Text,
        tls_key: Text,
        tls_skip_verify: Text,
        tls_server_name: Text,
        update_every: Text,
        autodetection_retry: Text,
        priority: Text,
        charts: Vec<Text>,
        labels: RawLabels,
        vnode: Text,
        thresholds: RawThresholds,
        malloc_stats_every: Text,
        size_classes: Text,
        cluster: Text,
        sentinel: RawSentinel,
    } expecting "a job: keys such as name: and address:"
}

mapping! {
    /// `sentinel:` of a job.
    RawSentinel {
        addresses: Vec<Text>,
        username: Text,
        password: Text,
        masters: Vec<Text>,
    } expecting "keys such as addresses:"
}

mapping! {
    /// `thresholds:` of a job.
    RawThresholds {
        ratio: Text,
        allocator_frag_ratio: Text,
        min_used_memory: Text,
        swap_min_used_memory: Text,
        peak_factor: Text,
        defrag_hit_rate: Text,
    } expecting "keys such as min_used_memory:"
}

mapping! {
    /// `discovery:`.
    RawDiscovery {
        local: Text,
        forget_after: Text,
    } expecting "keys such as local:"
}

mapping! {
    /// One entry of a file of virtual nodes.
    RawVnode {
        name: Text,
        hostname: Text,
        guid: Text,
        labels: RawLabels,
    } expecting "a virtual node: keys such as hostname: and guid:"
}

/// `labels:` of a job: names and values as the operator likes.
#[derive(Debug, Default)]
pub(super) struct RawLabels(pub(super) Vec<(Text, Option<Text>)>);

impl Again for RawLabels {}

impl<'de> Deserialize<'de> for RawLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = RawLabels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names and values such as role: cache")
            }
            fn visit_unit<E: de::Error>(self) -> Result<RawLabels, E> {
                Ok(RawLabels::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawLabels, A::Error> {
                let mut labels = Vec::new();
                while let Some(name) = map.next_key()? {
                    labels.push((name, map.next_value()?));
                }
                Ok(RawLabels(labels))
            }
        }
        deserializer.deserialize_map(Take)
    }
}
