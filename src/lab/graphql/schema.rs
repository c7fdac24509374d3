//! The part of GitHub's schema that is here: `schema.graphql`.

use std::collections::BTreeMap;

use async_graphql_parser::types::{
    FieldDefinition, InputValueDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};

use crate::error::{Kind, OrFail, Result};

const TEXT: &str = include_str!("schema.graphql");

/// Types by name.
pub(super) struct Schema {
    types: BTreeMap<String, TypeDefinition>,
}

/// The name at the bottom of a type: `Issue` of `[Issue!]!`.
pub(super) fn base(ty: &Type) -> &str {
    match &ty.base {
        async_graphql_parser::types::BaseType::Named(name) => name,
        async_graphql_parser::types::BaseType::List(inner) => base(inner),
    }
}

impl Schema {
    pub(super) fn read() -> Result<Self> {
        let attempt = || "cannot read the rehearsal's GraphQL schema";
        let document = async_graphql_parser::parse_schema(TEXT).or_fail(Kind::Internal, attempt)?;
        let types = document.definitions.into_iter().filter_map(|definition| match definition {
            TypeSystemDefinition::Type(one) => Some((one.node.name.node.to_string(), one.node)),
            _ => None,
        });
        Ok(Self { types: types.collect() })
    }

    fn kind(&self, name: &str) -> Option<&TypeKind> {
        self.types.get(name).map(|one| &one.kind)
    }

    pub(super) fn fields(&self, name: &str) -> &[async_graphql_parser::Positioned<FieldDefinition>] {
        match self.kind(name) {
            Some(TypeKind::Object(object)) => &object.fields,
            Some(TypeKind::Interface(interface)) => &interface.fields,
            _ => &[],
        }
    }

    pub(super) fn field(&self, owner: &str, name: &str) -> Option<&FieldDefinition> {
        self.fields(owner).iter().map(|field| &field.node).find(|field| field.name.node == name)
    }

    pub(super) fn inputs(
        &self,
        name: &str,
    ) -> Option<&[async_graphql_parser::Positioned<InputValueDefinition>]> {
        match self.kind(name) {
            Some(TypeKind::InputObject(object)) => Some(&object.fields),
            _ => None,
        }
    }

    /// The values of an enum.
    pub(super) fn values(&self, name: &str) -> Option<Vec<&str>> {
        match self.kind(name) {
            Some(TypeKind::Enum(one)) => {
                Some(one.values.iter().map(|value| value.node.value.node.as_str()).collect())
            }
            _ => None,
        }
    }

    /// Whether something is selected from it.
    pub(super) fn is_composite(&self, name: &str) -> bool {
        let kind = self.kind(name);
        matches!(kind, Some(TypeKind::Object(_) | TypeKind::Interface(_) | TypeKind::Union(_)))
    }

    /// `OBJECT`, `ENUM`…, as introspection says it.
    pub(super) fn kind_name(&self, name: &str) -> Option<&'static str> {
        Some(match self.kind(name)? {
            TypeKind::Scalar => "SCALAR",
            TypeKind::Object(_) => "OBJECT",
            TypeKind::Interface(_) => "INTERFACE",
            TypeKind::Union(_) => "UNION",
            TypeKind::Enum(_) => "ENUM",
            TypeKind::InputObject(_) => "INPUT_OBJECT",
        })
    }

    /// Whether an object of type `object` is also a `wanted`: itself, an interface of its, or a union with it.
    pub(super) fn is(&self, object: &str, wanted: &str) -> bool {
        let implements = match self.kind(object) {
            Some(TypeKind::Object(object)) => &object.implements[..],
            _ => &[],
        };
        let member = match self.kind(wanted) {
            Some(TypeKind::Union(union)) => &union.members[..],
            _ => &[],
        };
        object == wanted
            || implements.iter().any(|one| one.node == wanted)
            || member.iter().any(|one| one.node == object)
    }

    /// Whether any object can be both.
    pub(super) fn overlap(&self, one: &str, other: &str) -> bool {
        self.types.keys().any(|object| {
            matches!(self.kind(object), Some(TypeKind::Object(_)))
                && self.is(object, one)
                && self.is(object, other)
        })
    }
}
