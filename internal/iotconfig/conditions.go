package iotconfig

import (
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
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

// CodeRetain says that AWS IoT does not let the hub publish retained messages.
const CodeRetain = "mqtt-retain"

func retainFault(cause error, topic string) *health.Fault {
	return health.UserFault(CodeRetain, cause, "AWS IoT does not let this hub publish retained messages, "+
		"so the cloud cannot see whether it is online: "+
		"allow iot:RetainPublish on the topic %s in the certificate's policy. Everything else works without it.", topic)
}
