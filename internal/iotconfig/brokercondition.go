package iotconfig

import (
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// brokerCodes are the conditions of the connection to AWS IoT. An agent that shows none of them is connected.
var brokerCodes = []string{CodeMQTT, CodeRetain}

// IsBrokerCondition reports whether a condition of a running agent is one of its connection to AWS IoT.
func IsBrokerCondition(c health.Condition) bool {
	return slices.Contains(brokerCodes, c.Code) || c.Code == endpoint.Code && strings.Contains(c.Text, endpoint.IoTData.Variable)
}
