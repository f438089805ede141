package iotcreds

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	hosts "github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

const (
	// askedWithin is how soon somebody asks for credentials, whatever the agent does.
	askedWithin = 5 * time.Minute
	whoAsks     = "credentials are asked for when they are needed: by a listing that failed, every 5 min at the latest"
)

// conditionRows are the conditions of the hub's credentials.
var conditionRows = []conditiontest.Row{
	{Code: "credentials-role-alias", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.UserFault(codeRoleAlias, nil, "No such alias."))},
	{Code: "credentials-certificate", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.UserFault(codeCertificate, nil, "It is refused."))},
	{Code: "credentials-clock", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.UserFault(codeClock, nil, "It is off."))},
	{Code: "credentials-network", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.SystemFault(codeNetwork, nil, "No network."))},
	{Code: "credentials-trust", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.UserFault(codeTrust, nil, "Another CA."))},
	{Code: "credentials-service", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.SystemFault(codeService, nil, "HTTP 500."))},
	{Code: "endpoint", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.UserFault(hosts.Code, nil, "Another host."))},
	{Code: "credentials-token", Job: health.JobCloud, Limit: askedWithin, Reason: whoAsks,
		Start: refusing(health.UserFault(codeToken, nil, "An old token."))},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				conditiontest.Check(t, row, way)
			})
		}
	}
}

// refusing has an endpoint that answers with the fault, until it is repaired.
func refusing(f *health.Fault) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		now := newClock(time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC))
		registry := health.NewRegistry(now.Now)
		p := newProvider(Options{
			Now: now.Now, Health: registry.Component("", health.JobCloud), Retry: backoff.Policy{Min: time.Millisecond, Max: time.Millisecond},
		})
		var fails atomic.Bool
		fails.Store(true)
		p.ask = func(context.Context) (answer, error) {
			if fails.Load() {
				return answer{}, f
			}
			return answer{credentials: aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, expires: now.Now().Add(time.Hour)}, nil
		}
		ask := func() {
			if _, err := p.Retrieve(t.Context()); (err != nil) != fails.Load() {
				t.Errorf("got %v", err)
			}
		}
		return conditiontest.Case{
			Health: registry, Now: now.Now, Pass: func() { now.Advance(askedWithin); ask() },
			Raise: ask, Repair: func() { fails.Store(false) },
		}
	}
}
