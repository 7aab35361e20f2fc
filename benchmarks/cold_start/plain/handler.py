"""What one writes first: Powertools' event handler, PyJWT, and a boto3 client of DynamoDB."""

import os
from typing import Any

import boto3
import jwt
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

app = APIGatewayHttpResolver()
database = boto3.client("dynamodb")


@app.get("/items/<item>")
def get_item(item: str) -> dict[str, object]:
    token = app.current_event.headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, os.environ["KEY"], algorithms=["HS256"])
    found = database.get_item(
        TableName=os.environ["TABLE"], Key={"pk": {"S": item}}, ConsistentRead=True
    )
    return {"who": claims["sub"], "found": "Item" in found}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
