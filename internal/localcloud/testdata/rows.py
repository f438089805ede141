"""Sends requests to the Kinesis Video Streams endpoint of the environment, and prints what comes back.

Usage: rows.py boto3|cli < requests > answers, both JSON, one object a line.
A request is {"id": 1, "operation": "CreateStream", "body": {...}}, and an answer is
{"id": 1, "code": "InvalidArgumentException", "message": "..."}; code is "" after success. A client
that cannot send the request answers {"id": 1, "unsent": "why"}. Nothing is checked before it is sent.
"""
import contextlib
import io
import json
import os
import re
import sys


def boto3_client():
    import boto3
    from botocore import xform_name
    from botocore.config import Config
    from botocore.exceptions import ClientError

    def client(service):
        return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"],
                            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}))

    control, archived = client("kinesisvideo"), client(ARCHIVED)

    def send(operation, body):
        name = xform_name(operation)
        call = getattr(archived if hasattr(archived, name) else control, name)
        try:
            call(**body)
        except ClientError as error:
            return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
        return {"code": "", "message": ""}

    return send


ARCHIVED = "kinesis-video-archived-media"
# What answers with media, which the command line writes into a file.
MEDIA = ("GetClip", "GetMediaForFragmentList")
OTHERS = ("ListFragments", "GetHLSStreamingSessionURL", "GetDASHStreamingSessionURL", "GetImages")

REFUSED = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation(?: \(reached max retries: \d+\))?: (.*)", re.DOTALL)


def media_options(body):
    """The options of an operation that answers with media: these take no JSON of all members."""
    from awscli.botocore import xform_name

    options = ["/dev/null"]
    for name, value in body.items():
        if not isinstance(value, (str, list, dict)):
            raise ValueError("options of the command line are text")
        options += ["--" + xform_name(name, "-"), value if isinstance(value, str) else json.dumps(value)]
    return options


def cli_client():
    from awscli.clidriver import create_clidriver
    from awscli.botocore import xform_name

    driver = create_clidriver()

    def send(operation, body):
        out, complaints = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(complaints):
            code = driver.main([
                ARCHIVED if operation in MEDIA + OTHERS else "kinesisvideo", xform_name(operation, "-"),
                *(media_options(body) if operation in MEDIA else ["--cli-input-json", json.dumps(body), "--no-paginate"]),
                "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--output", "json",
            ])
        if code == 0:
            return {"code": "", "message": ""}
        refused = REFUSED.search(complaints.getvalue())
        if code != 254 or not refused:
            raise ValueError(complaints.getvalue().strip())
        return {"code": refused[1], "message": refused[2].strip()}

    return send


def main():
    send = {"boto3": boto3_client, "cli": cli_client}[sys.argv[1]]()
    answers = sys.stdout
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = send(request["operation"], request["body"])
        except (Exception, SystemExit) as error:  # of any kind: the client cannot say this
            answer = {"unsent": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps({"id": request["id"], **answer}), file=answers, flush=True)


main()
