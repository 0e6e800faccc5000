"""Serves S3 on a port of the system's choosing, with a bucket `bucket`. Prints the address and ends when stdin does."""

import sys
from importlib import import_module

boto3 = import_module("boto3")

server = import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
url = f"http://{host}:{port}"
client = boto3.client("s3", endpoint_url=url, region_name="cn-north-1", aws_access_key_id="id", aws_secret_access_key="secret")
client.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "cn-north-1"})
print(url, flush=True)  # noqa: T201
sys.stdin.read()
