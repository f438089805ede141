package iotconfig_test

import (
	"strings"
	"testing"

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
}
