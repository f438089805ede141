package iotconfig_test

import (
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
)

func TestEveryConditionOfTheConnectionIsKnownAsOne(t *testing.T) {
	t.Parallel()
	for _, d := range health.Declarations {
		about := strings.HasPrefix(d.Code, "mqtt") || strings.Contains(d.Title, "connection to AWS IoT")
		if got := iotconfig.IsBrokerCondition(health.Condition{Code: d.Code}); got != about {
			t.Errorf("%s: %v, want %v", d.Code, got, about)
		}
	}
	for _, s := range []*endpoint.Service{endpoint.IoTData, endpoint.IoTCredentials, endpoint.STS} {
		_, err := endpoint.Options{Choices: endpoint.Choices{FIPS: true}}.Given(s, "h.example")
		c := health.Condition{Code: endpoint.Code, Text: err.Error()}
		if got := iotconfig.IsBrokerCondition(c); got != (s == endpoint.IoTData) {
			t.Errorf("%s: %v", c.Text, got)
		}
	}
}
