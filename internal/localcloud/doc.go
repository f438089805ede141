// Package localcloud plays, in one process and on loopback only, the AWS services that the agent
// talks to: Kinesis Video Streams (control and data plane, edge configurations), the IoT message
// broker, the IoT credentials endpoint, Secrets Manager, CloudWatch metrics, SiteWise, TwinMaker and STS. The protocols
// are the real ones, so that the SDKs, the AWS CLI and any MQTT client work with it unchanged.
//
// It composes the services, each in a package of its own: kvs (control plane), media (data plane, on archive), iot (message broker),
// iotcreds (credentials), secretsmanager, cloudwatch, sitewise, twinmaker and sts. Below them are what AWS's APIs have in common (awsapi),
// keys and signatures (sigv4), who may do what (iam), the lines about calls (calls, refusal), certificates (pki), the connections
// of devices (devicetls) and what is kept on disk (state).
//
// It owns what lies in Options.Dir: the media directly in it (see package archive), certificates in
// pki/, everything else in state/. It must not know the agent: what both sides agree on is
// docs/mqtt.md and AWS's documentation, never shared code.
package localcloud
