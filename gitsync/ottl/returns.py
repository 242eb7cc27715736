"""What converters give back, as far as it is always the same type. Used for warnings only.

Source: pkg/ottl/ottlfuncs/README.md of v0.159.0 and the functions of processor/transform and processor/filter.
"""

from __future__ import annotations

from typing import Final

_BY_TYPE: Final[dict[str, str]] = {
    "ProfileID": """
        ProfileID
    """,
    "SpanID": """
        SpanID
    """,
    "TraceID": """
        TraceID
    """,
    "bool": """
        All Any Bool ContainsValue HasAttrKeyOnDatapoint HasAttrOnDatapoint HasPrefix HasSuffix IsBool IsDouble
        IsEmpty IsInCIDR IsInt IsList IsMap IsMatch IsRootSpan IsString IsValidLuhn
    """,
    "duration": """
        Duration
    """,
    "float": """
        Double Hours Log Minutes Seconds
    """,
    "int": """
        Day FNV Hour Index Int Len Microseconds Milliseconds Minute Month Nanosecond Nanoseconds ParseInt Second
        UnixMicro UnixMilli UnixNano UnixSeconds Weekday Year
    """,
    "list": """
        Keys Sort Split Values
    """,
    "map": """
        ExtractGrokPatterns ExtractPatterns MapKeys ParseCEF ParseCLF ParseCSV ParseELF ParseKeyValue ParseLEEF
        ParseSimplifiedXML ParseXML SliceToMap URL UserAgent
    """,
    "string": """
        Base64Decode Base64Encode CommunityID Concat ConvertAttributesToElementsXML ConvertCase
        ConvertTextToElementsXML Decode Format FormatTime GetXML Hex InsertXML MD5 Murmur3Hash Murmur3Hash128
        ParseSeverity RemoveXML SHA1 SHA256 SHA512 String Substring ToCamelCase ToKeyValueString ToLowerCase
        ToSnakeCase ToUpperCase Trim TrimPrefix TrimSuffix UUID UUIDv7 XXH128 XXH3
    """,
    "time": """
        Now Time TruncateTime Unix
    """,
}
RETURNS: Final[dict[str, str]] = {name: type_ for type_, names in _BY_TYPE.items() for name in names.split()}
"""Type by the name of the converter; one that is missing may give anything."""
