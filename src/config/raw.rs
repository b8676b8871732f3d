//! The shape of the file, before anything in it is understood.
//!
//! Every scalar is a text with its place, so that a mistake can be named where it
//! stands; keys nobody knows are kept to be told. Must not judge values.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

/// A scalar, and where it stands.
pub(super) type Text = Spanned<String>;

/// Declares one mapping of the file: its keys, and the ones that nobody knows.
macro_rules! mapping {
    ($(#[$doc:meta])* $name:ident { $( $key:ident : $ty:ty ),+ $(,)? } expecting $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name {
            $( pub(super) $key: Option<$ty>, )+
            pub(super) unknown: Vec<Text>,
        }

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
                                $( stringify!($key) => taken.$key = map.next_value()?, )+
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
        discovery: RawDiscovery,
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
        update_every: Text,
        autodetection_retry: Text,
        priority: Text,
        labels: BTreeMap<String, Text>,
        thresholds: RawThresholds,
    } expecting "a job: keys such as name: and address:"
}

mapping! {
    /// `thresholds:` of a job.
    RawThresholds {
        min_used_memory: Text,
    } expecting "keys such as min_used_memory:"
}

mapping! {
    /// `discovery:`.
    RawDiscovery {
        local: Text,
    } expecting "the key local:"
}
