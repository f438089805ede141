package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/integrator"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func newDemoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job without an AWS account: camera to disk to cloud, configured remotely",
		Long: `Starts a local stand-in for AWS and a fake camera, starts the real agent as a process of its
own, configures it through the KVS API as an integrator would, lets it record and upload, and then
counts frame by frame what was sent, what is on disk and what is in the cloud. With --camera the frames on disk are
compared with those in the cloud, video with video and audio with audio.

With --stream-file a stream file configures the recording, and the only right that the hub has at AWS is to upload. With
AWS_KVS_EDGE_CLOUD=off in the environment it does not upload either: it records and deletes media older than an hour, and
the demo verifies that the cloud gets no call at all.

Without --dir everything is kept in a scratch directory, which is removed at the end unless --keep is given.

Exit code: 0 only if nothing was lost and nothing was stored twice.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkRegion(o.region); err != nil {
				return err
			}
			if o.duration < time.Second { // of nothing recorded the last fragment would never come
				return &exitError{exitSettings, fmt.Errorf("--duration is %s, but must be at least 1s", o.duration)}
			}
			o.noCloud = o.streamFile && strings.EqualFold(os.Getenv(settings.EnvCloud), "off")
			if o.camera != "" {
				if _, err := address.Parse(secret.New(o.camera)); err != nil {
					return &exitError{exitSettings, fmt.Errorf("--camera: %s", withoutSecret(err.Error()))}
				}
			}
			return runDemo(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.camera, "camera", "", "record this camera (rtsp://…) instead of the fake one")
	flags.StringVar(&o.dir, "dir", "", "where everything is kept (default: a scratch directory)")
	spanVar(flags, &o.duration, "duration", 30*time.Second, "how long to record")
	flags.Var(&o.listen, "listen", "the address for cloud and camera, one of this machine alone: [::1] for IPv6 only (default 127.0.0.1)")
	flags.StringVar(&o.region, "region", localcloud.Region, regionUsage)
	flags.BoolVar(&o.keep, "keep", false, "stay up afterwards and print commands to play with")
	flags.BoolVar(&o.streamFile, "stream-file", false, "configure the agent by a stream file: the edge API, the streams' tags and MQTT are "+
		"out of reach")
	return cmd
}

func runDemo(ctx context.Context, out io.Writer, o demoOptions) error {
	d := &demo{options: o, out: out, calls: new(callCounter), began: time.Now(), scratch: o.dir == "" && !o.keep}
	defer d.close()
	if err := d.setUp(ctx); err != nil {
		return err
	}
	configure := d.configure
	if o.streamFile {
		configure = d.awaitStreamFile
	}
	if err := configure(ctx); err != nil {
		return err
	}
	if err := d.watch(ctx); err != nil {
		return err
	}
	verdict, err := d.settleAndReport(ctx)
	if err != nil {
		return err
	}
	if o.keep && ctx.Err() == nil {
		d.printPlayground(ctx)
		select {
		case <-ctx.Done():
			d.say("stopped; everything is kept in %s", d.dir)
		case <-d.agent.exited:
			return d.agentEnded()
		}
	}
	return verdict
}

// setUp starts cloud, camera and agent.
func (d *demo) setUp(ctx context.Context) (err error) {
	if d.dir, err = demoDirectory(d.options.dir); err != nil {
		return err
	}
	if d.cloud, err = localcloud.Start(localcloud.Options{
		Dir: filepath.Join(d.dir, "cloud"), Log: zap.NewNop(), Calls: d.calls, Address: d.options.listen.Addr,
		Region: d.options.region,
	}); err != nil {
		return err
	}
	d.say("local cloud at %s", d.cloud.Endpoint())
	url := d.options.camera
	if url == "" {
		// Frames of a run before, with the same --dir, have other numbers.
		if d.camera, err = fakecam.Start(fakecam.Options{
			Addr: d.at(0), User: "demo", Pass: "p@ss:word/1", Start: uint64(d.began.Unix()) << 20,
		}); err != nil {
			return err
		}
		url = d.camera.URL()
		d.say("fake camera, 1080p25, every frame numbered")
	}
	if _, err := d.cloud.CreateStream(demoStream, demoRetention); err != nil {
		return err
	}
	if d.options.streamFile {
		return d.setUpStreamFile(url)
	}
	content, err := json.Marshal(map[string]string{"MediaURI": url})
	if err != nil {
		return err
	}
	// Another camera has another secret: the agent reads one that it knows rarely.
	secretARN, err := d.cloud.PutSecret(demoStream+"-"+shortHash(url), string(content))
	if err != nil {
		return err
	}
	if d.user, err = integrator.New(ctx, d.cloud); err != nil {
		return err
	}
	if err := d.startAgent(); err != nil {
		return err
	}
	return d.update(ctx, secretARN)
}

// at is a port of the address that cloud and camera have; 0 = any.
func (d *demo) at(port uint16) string {
	address := d.options.listen.Addr
	if !address.IsValid() {
		address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(address, port).String()
}

func (d *demo) startAgent(more ...string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if d.agent, err = startAgent(program, filepath.Join(d.dir, "agent.out"), append(d.agentEnv(), more...)); err != nil {
		return err
	}
	d.say("agent started as process %d, its settings in the environment", d.agent.cmd.Process.Pid)
	return nil
}

func (d *demo) close() {
	if d.agent != nil {
		ctx, cancel := context.WithTimeout(context.Background(), demoSettle)
		defer cancel()
		select {
		case <-d.agent.exited:
		default:
			_ = d.agent.stop(ctx)
		}
	}
	if d.camera != nil {
		_ = d.camera.Close()
	}
	if d.cloud != nil {
		_ = d.cloud.Close()
	}
	if d.scratch && d.dir != "" {
		_ = os.RemoveAll(d.dir)
	}
}
