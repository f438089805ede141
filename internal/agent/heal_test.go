package agent

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// TestACorrectedSecretHealsItsStreamOnEverySurface has streams whose secrets are wrong in different ways, and
// are corrected. It is not parallel: the SDK reads its endpoints from the process's environment.
func TestACorrectedSecretHealsItsStreamOnEverySurface(t *testing.T) {
	h := newRig(t)
	h.Env[settings.EnvMetricsAddress] = ":0"
	camera := h.Camera(fakecam.Options{User: "admin", Pass: "right"})
	s := h.service()
	streams := map[string]struct {
		secret string // a wrong one
		code   string
		heal   func(arn string)
	}{
		"moved": {`{"MediaURI":"rtsp://127.0.0.1:9/live"}`, "camera", func(string) { s.reload() }},
		"locked": {`{"MediaURI":"` + strings.Replace(camera.URL(), "right", "wrong", 1) + `"}`, "camera",
			func(arn string) { h.Update("locked", arn, site.Always) }},
		"prose": {`rtsp is in the kitchen`, "secret-content", func(string) {
			must(t, localapi.NewClient(h.Env[settings.EnvSocket]).ReadSecrets(t.Context()))
		}},
	}
	arns := make(map[string]string)
	for name, stream := range streams {
		arn, err := h.Cloud.PutSecret(name, stream.secret)
		must(t, err)
		arns[name] = arn
		h.Configure(name, arn, site.Always)
	}
	for name, stream := range streams {
		s.await(name+" fails", func() bool { _, code := s.reported(name); return code == stream.code })
	}
	for name, stream := range streams {
		_, err := h.Cloud.PutSecret(name, `{"MediaURI":"`+camera.URL()+`"}`)
		must(t, err)
		stream.heal(arns[name])
		s.await(name+" is recorded, and status says so", func() bool {
			now, code := s.reported(name)
			return code == "" && now.Recorder.State == "recording" && !now.Recorder.SecretRead.IsZero()
		})
	}
	for name := range streams {
		s.await(name+" is SUCCESS in DescribeEdgeConfiguration", func() bool {
			out, err := h.User.DescribeEdgeConfiguration(t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: &name})
			must(t, err)
			return out.EdgeAgentStatus != nil && out.EdgeAgentStatus.LastRecorderStatus != nil &&
				out.EdgeAgentStatus.LastRecorderStatus.RecorderStatus == types.RecorderStatusSuccess
		})
	}
	if verdict := s.agent.collector.Snapshot().Verdict; verdict != status.Healthy {
		t.Errorf("the verdict is %s: %+v", verdict, s.agent.collector.Snapshot())
	}
	text, err := localapi.NewClient(h.Env[settings.EnvSocket]).Metrics(t.Context())
	must(t, err)
	if strings.Contains(string(text), `activity="failed"`) || strings.Contains(string(text), `severity="failed"`) {
		t.Error("Prometheus still shows a failure")
	}
}

// reported is what status says of a stream, and the code of what has failed.
func (s *serviceOf) reported(name string) (status.Stream, string) {
	for _, stream := range s.agent.collector.Snapshot().Streams {
		if stream.Name != name {
			continue
		}
		for _, c := range stream.Conditions {
			if c.Severity == health.Failed {
				return stream, c.Code
			}
		}
		return stream, ""
	}
	return status.Stream{}, "not configured"
}
