// Package localcloud plays, in one process and on loopback only, the AWS services that the agent
// talks to: Kinesis Video Streams (control and data plane, edge configurations), the IoT message
// broker, the IoT credentials endpoint, Secrets Manager, CloudWatch metrics and STS. The protocols
// are the real ones, so that the SDKs, the AWS CLI and any MQTT client work with it unchanged.
//
// It owns what lies in Options.Dir: the media directly in it (see package media), certificates in
// pki/, everything else in state/. It must not know the agent: what both sides agree on is
// docs/mqtt.md and AWS's documentation, never shared code.
package localcloud
