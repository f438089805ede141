package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// agentEnded says that the agent is gone. Its log stays.
func (d *demo) agentEnded() error {
	d.scratch = false
	how := "with exit code 0"
	if d.agent.waitErr != nil {
		how = d.agent.waitErr.Error()
	}
	return fmt.Errorf("the agent ended by itself (%s): see %s", how, d.agent.logPath)
}

// update is what an integrator does from anywhere: StartEdgeConfigurationUpdate with the AWS SDK.
func (d *demo) update(ctx context.Context, secretARN string) error {
	wait, cancel := context.WithTimeout(ctx, demoSettle)
	defer cancel()
	for {
		err := d.sendUpdate(ctx, secretARN)
		// In use by the update of a run before, which the agent acknowledges soon.
		if !errors.Is(err, integrator.ErrInUse) || backoff.Sleep(wait, settlePoll) != nil {
			return err
		}
	}
}

func (d *demo) sendUpdate(ctx context.Context, secretARN string) error {
	retention, deletes := demoRetention, false
	err := d.user.Configure(ctx, demoStream, edgeconfig.EdgeConfig{
		HubDeviceArn: d.cloud.HubARN(demoThing),
		RecorderConfig: edgeconfig.RecorderConfig{MediaSourceConfig: edgeconfig.MediaSourceConfig{
			MediaUriSecretArn: secretARN, MediaUriType: edgeconfig.RTSP,
		}},
		// A window of a minute every minute is one window without end: upload as soon as recorded.
		UploaderConfig: &edgeconfig.UploaderConfig{ScheduleConfig: &edgeconfig.ScheduleConfig{
			ScheduleExpression: "0 * * * * ? *", DurationInSeconds: 60,
		}},
		// Keep the files, so that they can be compared with the cloud's.
		DeletionConfig: &edgeconfig.DeletionConfig{EdgeRetentionInHours: &retention, DeleteAfterUpload: &deletes},
	})
	if err != nil {
		return err
	}
	d.say("StartEdgeConfigurationUpdate accepted: SYNCING")
	return nil
}

func demoDirectory(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "kvs-edge-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o750)
}

func (d *demo) recordings() string { return filepath.Join(d.dir, "recordings") }

func (d *demo) agentEnv() []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"GODEBUG=" + os.Getenv("GODEBUG"), // FIPS 140-3 mode, for example
		settings.EnvRecordingDirectory + "=" + d.recordings(),
		settings.EnvStateDirectory + "=" + filepath.Join(d.dir, "state"),
		settings.EnvLogOutputDirectory + "=" + filepath.Join(d.dir, "log"),
		settings.EnvSocket + "=" + filepath.Join(d.dir, "agent.sock"),
		settings.EnvSegmentDuration + "=" + demoSegment.String(),
		settings.EnvFragmentDuration + "=" + fragment.Min.String(), // as soon as recorded
		settings.EnvAudio + "=" + string(settings.AudioOn),         // all that is recorded is compared with the cloud's copy
	}
	if d.options.keep {
		env = append(env, settings.EnvWebAddress+"=127.0.0.1:0")
	}
	for _, v := range d.cloud.AgentEnv(demoThing) {
		env = append(env, v.String())
	}
	return env
}

// configure waits until the configuration has reached the agent over MQTT and is in effect.
func (d *demo) configure(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, demoSettle)
	defer cancel()
	if err := d.cloud.AwaitSyncStatus(wait, demoStream, "IN_SYNC"); err != nil {
		return fmt.Errorf("the configuration did not reach IN_SYNC: %w; see %s", err, d.agent.logPath)
	}
	d.say("configuration IN_SYNC")
	return nil
}
