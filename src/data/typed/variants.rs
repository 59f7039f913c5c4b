//! Enums of Rust: an enum value alone, or a vector that begins with one.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, Error as _, VariantAccess, Visitor};

use super::TypedError;
use super::de::{FromView, visit_all};
use crate::data::{Items, Parts, View};

/// A variant's name, and what it holds.
pub(super) struct Variant<'de> {
    label: &'de str,
    content: Option<Items<'de>>,
}

impl<'de> Variant<'de> {
    /// The variant that a value is. A label that is not UTF-8 is no variant's name.
    pub(super) fn of(view: View<'de>) -> Option<Self> {
        let (label, content) = match (view.as_enum_value(), view.parts()) {
            (Some(label), _) => (label, None),
            (None, Parts::Vector(mut items)) => (items.next()?.as_enum_value()?, Some(items)),
            _ => return None,
        };
        let label = std::str::from_utf8(label).ok()?;
        Some(Self { label, content })
    }

    /// What it holds, if it does.
    fn content(self) -> Result<Items<'de>, TypedError> {
        let label = self.label;
        self.content
            .ok_or_else(|| TypedError::custom(format_args!("{label} stands without its content")))
    }
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = TypedError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), TypedError> {
        let label = BorrowedStrDeserializer::<TypedError>::new(self.label);
        Ok((seed.deserialize(label)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = TypedError;

    fn unit_variant(self) -> Result<(), TypedError> {
        match self.content {
            None => Ok(()),
            Some(_) => {
                let message = format_args!("{} holds nothing", self.label);
                Err(TypedError::custom(message))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, TypedError> {
        let label = self.label;
        let mut content = self.content()?;
        match (content.next(), content.next()) {
            (Some(only), None) => seed.deserialize(FromView(only)),
            _ => Err(TypedError::custom(format_args!("{label} holds one value"))),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, TypedError> {
        visit_all(self.content()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        visit_all(self.content()?, visitor)
    }
}
