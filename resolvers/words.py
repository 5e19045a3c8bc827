"""The design's words as enums of the schema. Imported before types are: Strawberry names an enum once."""

import strawberry

from flags.components import ComponentReason
from flags.evaluation import Decider
from personalization.classification.profiles import Origin
from personalization.events import DecisionMode, Device, ExposureEventKind, OutcomeKind, Persona, Placement, Season
from resolvers.sources.source import ProductSort

strawberry.enum(Persona, description="The five target persons of multilevel selling.")
strawberry.enum(Season, description="Season of the year in the viewer's region.")
strawberry.enum(Device, description="What kind of screen the viewer holds.")
strawberry.enum(Placement, description="Where a shelf of products stands.")
strawberry.enum(DecisionMode, description="How a decision came to be.")
strawberry.enum(OutcomeKind, description="What a viewer did after a decision.")
strawberry.enum(ExposureEventKind, description="What became of a variant that a viewer was given.")
strawberry.enum(ProductSort, description="Orders a list of products can come in.")
strawberry.enum(ComponentReason, description="Why a component is as it is.")
strawberry.enum(Origin, name="SegmentSource", description="Where a segment comes from.")
strawberry.enum(Decider, description="The layer that gave a flag's answer.")
