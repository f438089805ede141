package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/web/signin"
)

func (d *demo) print(r *report, snapshot status.Snapshot) error {
	sent := "unknown (your camera does not number its frames)"
	if d.camera != nil {
		sent = fmt.Sprint(r.video.reference.distinct())
	}
	rows := [][2]string{
		{"frames the camera sent", sent},
		{"frames in local segments", fmt.Sprint(r.video.local.distinct())},
	}
	if !d.options.noCloud {
		rows = append(rows, [2]string{"frames persisted in the cloud", fmt.Sprint(r.video.cloud.distinct())})
	}
	if r.readBack != "" {
		rows = append(rows, [2]string{"played by the cloud's HLS", r.readBack})
	}
	if r.audio.reference.distinct() > 0 {
		rows = append(rows,
			[2]string{"audio blocks in local segments", fmt.Sprint(r.audio.local.distinct())},
			[2]string{"audio blocks in the cloud", fmt.Sprint(r.audio.cloud.distinct())})
	}
	rows = append(rows, [][2]string{
		{"lost", fmt.Sprint(r.video.lost() + r.audio.lost())},
		{"repeated", fmt.Sprint(r.video.cloud.repeated() + r.audio.cloud.repeated())},
		{"upload lag", lagText(r.lags)},
	}...)
	if d.scratch {
		rows = append(rows, [2]string{"segments, cloud's copy, log", "removed with the scratch directory; keep them with --keep or --dir"})
	} else {
		rows = append(rows, [][2]string{{"segments", d.recordings()}, {"cloud's copy", d.cloud.Dir()}, {"agent's log", d.dir + "/log"}}...)
	}
	fmt.Fprintln(d.out)
	for _, row := range rows {
		fmt.Fprintf(d.out, "  %-30s %s\n", row[0], row[1])
	}
	fmt.Fprintf(d.out, "\nWhile the camera was on, `%s status --socket %s` said:\n\n", programName(), shellQuoted(d.agent.socket))
	return status.WriteTable(d.out, snapshot)
}

func lagText(lags []time.Duration) string {
	if len(lags) == 0 {
		return "-"
	}
	return fmt.Sprintf("median %.2f s, worst %.2f s, from a fragment's last frame to its persisted acknowledgement",
		lags[len(lags)/2].Seconds(), lags[len(lags)-1].Seconds())
}

// programName is how this program can be called from any shell.
func programName() string {
	path, err := os.Executable()
	if err != nil {
		return "kvs-edge-agent"
	}
	return shellQuoted(path)
}

// printPlayground says what one can do while everything stays up.
func (d *demo) printPlayground(ctx context.Context) {
	if d.camera != nil {
		if err := d.camera.Plug(); err != nil {
			d.say("the fake camera cannot be plugged in again: %s", err)
		}
	}
	if link, err := localapi.NewClient(d.agent.socket).WebLink(ctx, localapi.WebLinkRequest{Role: string(signin.Operate)}); err == nil {
		fmt.Fprintf(d.out, "\nThe hub's web pages, for a browser on this machine; the link works once, within 5 minutes:\n\n  %s%s\n", link.URL,
			link.Path)
	}
	if url, err := d.cloud.PlaybackURL(demoStream); err == nil {
		fmt.Fprintf(d.out, "\nWhat is in the cloud, for 12 hours, for players that do not check its certificate, such as ffplay:\n\n  %s\n", url)
	}
	fmt.Fprintf(d.out, "\nEverything stays up until Ctrl-C. In another shell:\n\n")
	for _, v := range d.cloud.UserEnv() {
		fmt.Fprintf(d.out, "  export %s=%s\n", v.Name, shellQuoted(v.Value))
	}
	for _, command := range []string{
		"describe-edge-configuration --stream-name " + demoStream,
		"describe-stream --stream-name " + demoStream,
		"list-streams",
	} {
		// The AWS CLI before 2.13 does not know AWS_ENDPOINT_URL.
		fmt.Fprintf(d.out, "  aws --endpoint-url %s kinesisvideo %s\n", d.cloud.Endpoint(), command)
	}
	socket, dir := shellQuoted(d.agent.socket), shellQuoted(d.recordings())
	for _, command := range []string{
		"status --socket " + socket,
		"web --role operate --socket " + socket,
		"segments --dir " + dir,
		"verify --dir " + dir,
		"export --dir " + dir + " --stream " + demoStream + " --last 10s " + shellQuoted(filepath.Join(d.dir, "out.mkv")),
		"upload --socket " + socket + " --stream " + demoStream + " --last 10s",
	} {
		fmt.Fprintf(d.out, "  %s %s\n", programName(), command)
	}
}
