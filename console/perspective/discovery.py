"""The discovery document: what Google's generic clients build their methods from, with our own address in it."""

from typing import Any, Final

VERSION: Final = "v1alpha1"

_STRING: Final = {"type": "string"}
_TEXT_ENTRY: Final = {"$ref": "TextEntry"}
_ATTRIBUTE_SCORES: Final = {"type": "object", "additionalProperties": {"$ref": "AttributeScores"}}
_STRINGS: Final = {"type": "array", "items": _STRING}


def _schema(name: str, **properties: Any) -> dict[str, Any]:
    return {"id": name, "type": "object", "properties": properties}


def _method(name: str, request: str, response: str, description: str) -> dict[str, Any]:
    path = f"{VERSION}/comments:{name}"
    return {
        "id": f"commentanalyzer.comments.{name}",
        "path": path,
        "flatPath": path,
        "httpMethod": "POST",
        "description": description,
        "parameters": {},
        "parameterOrder": [],
        "request": {"$ref": request},
        "response": {"$ref": response},
    }


_SCHEMAS: Final = [
    _schema("TextEntry", text=_STRING, type=_STRING),
    _schema("ArticleAndParentComment", article=_TEXT_ENTRY, parentComment=_TEXT_ENTRY),
    _schema(
        "Context",
        entries={"type": "array", "items": _TEXT_ENTRY},
        articleAndParentComment={"$ref": "ArticleAndParentComment"},
    ),
    _schema("AttributeParameters", scoreType=_STRING, scoreThreshold={"type": "number", "format": "float"}),
    _schema("Score", value={"type": "number", "format": "float"}, type=_STRING),
    _schema(
        "SpanScore",
        begin={"type": "integer", "format": "int32"},
        end={"type": "integer", "format": "int32"},
        score={"$ref": "Score"},
    ),
    _schema(
        "AttributeScores", summaryScore={"$ref": "Score"}, spanScores={"type": "array", "items": {"$ref": "SpanScore"}}
    ),
    _schema(
        "AnalyzeCommentRequest",
        comment=_TEXT_ENTRY,
        context={"$ref": "Context"},
        requestedAttributes={"type": "object", "additionalProperties": {"$ref": "AttributeParameters"}},
        spanAnnotations={"type": "boolean"},
        languages=_STRINGS,
        doNotStore={"type": "boolean"},
        clientToken=_STRING,
        sessionId=_STRING,
        communityId=_STRING,
    ),
    _schema(
        "AnalyzeCommentResponse",
        attributeScores=_ATTRIBUTE_SCORES,
        languages=_STRINGS,
        detectedLanguages=_STRINGS,
        clientToken=_STRING,
    ),
    _schema(
        "SuggestCommentScoreRequest",
        comment=_TEXT_ENTRY,
        context={"$ref": "Context"},
        attributeScores=_ATTRIBUTE_SCORES,
        languages=_STRINGS,
        communityId=_STRING,
        clientToken=_STRING,
        sessionId=_STRING,
    ),
    _schema(
        "SuggestCommentScoreResponse", detectedLanguages=_STRINGS, requestedLanguages=_STRINGS, clientToken=_STRING
    ),
]

_PARAMETERS: Final = {
    name: {"type": "string", "location": "query", "description": description}
    for name, description in {
        "key": "API key.",
        "alt": "json; nothing else is answered.",
        "fields": "Not read: answers are always whole.",
        "prettyPrint": "Not read.",
        "quotaUser": "Not read.",
    }.items()
}


def discovery_document(root_url: str) -> dict[str, Any]:
    """Return the document.

    Args:
        root_url: Where the port is reached, with a slash at its end.
    """
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": f"commentanalyzer:{VERSION}",
        "name": "commentanalyzer",
        "version": VERSION,
        "title": "Comment analysis by verdictstream",
        "description": "Scores comments, in the shape of Perspective's API.",
        "protocol": "rest",
        "rootUrl": root_url,
        "servicePath": "",
        "baseUrl": root_url,
        "batchPath": "batch",
        "basePath": "",
        "parameters": _PARAMETERS,
        "schemas": {schema["id"]: schema for schema in _SCHEMAS},
        "resources": {
            "comments": {
                "methods": {
                    "analyze": _method(
                        "analyze", "AnalyzeCommentRequest", "AnalyzeCommentResponse", "Scores a comment."
                    ),
                    "suggestscore": _method(
                        "suggestscore",
                        "SuggestCommentScoreRequest",
                        "SuggestCommentScoreResponse",
                        "Takes what the scores of a comment should be.",
                    ),
                }
            }
        },
    }
