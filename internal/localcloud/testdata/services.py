# What AWS's Python SDK makes of each service of the local cloud. Prints a line for each answer.
import datetime
import sys

import boto3
import botocore.exceptions

endpoint, bundle = sys.argv[1:]


def client(name):
    return boto3.client(name, endpoint_url=endpoint, verify=bundle)


def show(title, call):
    try:
        print(title, "=", call())
    except botocore.exceptions.ClientError as e:
        print(title, "!", e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Code"], "|", e.response["Error"]["Message"])


cloudwatch = client("cloudwatch")
now = datetime.datetime.now(datetime.timezone.utc)
dimensions = [{"Name": "Stream", "Value": "cam"}]
show("put", lambda: cloudwatch.put_metric_data(Namespace="N", MetricData=[
    {"MetricName": "m", "Dimensions": dimensions, "Timestamp": now, "Value": 2.5, "Unit": "Count"},
    {"MetricName": "m", "Dimensions": dimensions, "Timestamp": now, "Values": [1.5, 2.0], "Counts": [1, 2], "Unit": "Count"},
])["ResponseMetadata"]["HTTPStatusCode"])
show("list", lambda: cloudwatch.list_metrics(Namespace="N")["Metrics"])
show("statistics", lambda: [(p["Sum"], p["SampleCount"], p["Maximum"], p["Unit"]) for p in cloudwatch.get_metric_statistics(
    Namespace="N", MetricName="m", Dimensions=dimensions, Period=3600, Statistics=["Sum", "SampleCount", "Maximum"],
    StartTime=now - datetime.timedelta(hours=2), EndTime=now + datetime.timedelta(hours=1))["Datapoints"]][:1])
show("old", lambda: cloudwatch.put_metric_data(Namespace="N", MetricData=[
    {"MetricName": "m", "Timestamp": now - datetime.timedelta(days=15), "Value": 1}]))
show("alarms", lambda: cloudwatch.describe_alarms())

secrets = client("secretsmanager")
show("create", lambda: secrets.create_secret(Name="a/b", SecretBinary=b"\x00\xff")["Name"])
show("get", lambda: secrets.get_secret_value(SecretId="a/b")["SecretBinary"])
show("missing", lambda: secrets.get_secret_value(SecretId="none"))
show("rotate", lambda: secrets.rotate_secret(SecretId="a/b"))

show("who", lambda: client("sts").get_caller_identity()["Arn"])
show("session", lambda: client("sts").get_session_token())
show("endpoint", lambda: client("iot").describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"])
show("things", lambda: client("iot").list_things())
data = client("iot-data")
show("publish", lambda: data.publish(topic="kvs-edge/hub-1/a", qos=1, retain=True, payload=b"hello")["ResponseMetadata"]["HTTPStatusCode"])
show("retained", lambda: data.get_retained_message(topic="kvs-edge/hub-1/a")["payload"])
show("retained list", lambda: [t["topic"] for t in data.list_retained_messages()["retainedTopics"]])
show("slashes", lambda: data.publish(topic="1/2/3/4/5/6/7/8/9"))
show("shadow", lambda: data.get_thing_shadow(thingName="hub-1"))
show("stream", lambda: client("kinesisvideo").describe_stream(StreamName="none"))

show("ec2", lambda: client("ec2").describe_instances())
show("s3", lambda: client("s3").list_buckets())
show("lambda", lambda: client("lambda").list_functions())
show("dynamodb", lambda: client("dynamodb").list_tables())
show("sqs", lambda: client("sqs").list_queues())
show("logs", lambda: client("logs").describe_log_groups())
