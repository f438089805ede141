package iotconfig

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// CodeMQTT says that there is no connection to AWS IoT.
const CodeMQTT = "mqtt"

// The scopes.
const (
	scopeMQTT   health.Scope = "mqtt"
	scopeRetain health.Scope = "retain" // publishing retained messages
)

// WithoutMQTT says what it means that there is no MQTT, and why there is none. A change is found within the given time.
func WithoutMQTT(why string, within time.Duration) string {
	return fmt.Sprintf("There is no MQTT connection to AWS IoT (%s): changes of configurations are found within %d min, and the cloud does "+
		"not see the jobs' statuses.",
		why, int(within.Minutes()))
}

// WithoutThing says what it means that the hub is not a thing of AWS IoT, and why not.
func WithoutThing(why string) string {
	return fmt.Sprintf("The hub is not a thing of AWS IoT (%s), which cameras of AWS IoT SiteWise do not need: edge configurations and "+
		"messages of the cloud are not used, and requests over AWS IoT SiteWise are found within 10 s.", why)
}

// ReportNoThing says so in place of a Client.
func ReportNoThing(component *health.Component, log *zap.Logger, why string) {
	component.SetState("not used")
	fault := health.UserFault(CodeMQTT, nil, "%s", WithoutThing(why))
	component.Report(scopeMQTT, health.Info, fault)
	logevent.MQTTNotUsed.Log(log, zap.Error(fault)) // no warning, as it may be intended
}

// CodeRetain says that AWS IoT does not let the hub publish retained messages.
const CodeRetain = "mqtt-retain"

func retainFault(cause error, topic string) *health.Fault {
	return health.UserFault(CodeRetain, cause, "AWS IoT does not let this hub publish retained messages, "+
		"so the cloud cannot see whether it is online: "+
		"allow iot:RetainPublish on the topic %s in the certificate's policy. Everything else works without it.", topic)
}
