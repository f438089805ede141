package iotconfig

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

// timing holds what tests shorten.
type timing struct {
	jobsEvery    time.Duration
	jobsDebounce time.Duration
	healthy      time.Duration // a connection that lasted this long resets the backoff
	handshake    time.Duration // TCP, TLS and MQTT connect, each
	acknowledge  time.Duration // until the broker must have acknowledged a publication
	// retainRetry is when retained messages are tried again that the policy did not allow, for the
	// first time; it doubles up to retainRetryMost.
	retainRetry, retainRetryMost time.Duration
}

func defaultTiming() timing {
	return timing{
		jobsEvery:    5 * time.Minute,
		jobsDebounce: time.Second,
		healthy:      time.Minute,
		handshake:    10 * time.Second,
		acknowledge:  20 * time.Second,
		retainRetry:  time.Hour, retainRetryMost: 24 * time.Hour,
	}
}

// DefaultReconnect paces the connections to the broker: wide from the first wait on, since many
// hubs lose their connections together and recording does not wait for it.
var DefaultReconnect = backoff.Policy{Min: 10 * time.Second, Max: 5 * time.Minute, Floor: 250 * time.Millisecond}
