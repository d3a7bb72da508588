from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ToolEffect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_EFFECT_UNSPECIFIED: _ClassVar[ToolEffect]
    TOOL_EFFECT_READ: _ClassVar[ToolEffect]
    TOOL_EFFECT_WRITE: _ClassVar[ToolEffect]
    TOOL_EFFECT_SIDE_EFFECT: _ClassVar[ToolEffect]

class ToolRisk(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TOOL_RISK_UNSPECIFIED: _ClassVar[ToolRisk]
    TOOL_RISK_LOW: _ClassVar[ToolRisk]
    TOOL_RISK_MEDIUM: _ClassVar[ToolRisk]
    TOOL_RISK_HIGH: _ClassVar[ToolRisk]
    TOOL_RISK_DESTRUCTIVE: _ClassVar[ToolRisk]
TOOL_EFFECT_UNSPECIFIED: ToolEffect
TOOL_EFFECT_READ: ToolEffect
TOOL_EFFECT_WRITE: ToolEffect
TOOL_EFFECT_SIDE_EFFECT: ToolEffect
TOOL_RISK_UNSPECIFIED: ToolRisk
TOOL_RISK_LOW: ToolRisk
TOOL_RISK_MEDIUM: ToolRisk
TOOL_RISK_HIGH: ToolRisk
TOOL_RISK_DESTRUCTIVE: ToolRisk
