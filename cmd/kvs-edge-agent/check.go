package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// checkFlags are those of check.
type checkFlags struct {
	asJSON  bool
	envFile string
	dropIn  bool
}

func newCheckCommand() *cobra.Command {
	var flags checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Verify settings, rights, endpoints, cameras and disk as the service sees them",
		Long: `Verify the settings, the files, the device certificate, the clock, every endpoint, the credentials,
the MQTT connection and the rights of the hub; for each stream of this hub its configuration, its
secret, its camera (for some seconds) and its retention; and finally the disk. Each result is one
line: ✔, or ✘ with what to do.

It sees what the service sees: the variables of /etc/kvs-edge-agent/agent.env, or of --env-file, take
precedence over those of this shell. When root runs it, every check has the rights of the service's
user and the sandbox of its unit. Without the file it reads the same environment as run. It changes
nothing, and works while the agent runs.

Exit code: 0 when all is well, 1 otherwise.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return check(cmd, flags) },
	}
	cmd.Flags().BoolVar(&flags.asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&flags.envFile, "env-file", "", "read settings from this `file` as run does, instead of the service's")
	cmd.Flags().BoolVar(&flags.dropIn, "write-drop-in", false,
		"as root: allow the service's sandbox the paths of the settings, in a drop-in for its unit, and check nothing else")
	return cmd
}

func check(cmd *cobra.Command, flags checkFlags) error {
	out := cmd.OutOrStdout()
	view, err := asService(findUnit(cmd.Context()), flags.envFile, serviceSettings)
	if flags.dropIn {
		return allowPaths(out, view, err)
	}
	report := struct {
		OK       bool                `json:"ok"`
		Findings []preflight.Finding `json:"findings"`
	}{Findings: []preflight.Finding{}}
	progress := &waiting{out: out}
	stop := func() {}
	if t := terminalOf(out); t.present && !flags.asJSON {
		progress.width = t.width
		stop = progress.run()
	}
	tell := func(f preflight.Finding) {
		report.Findings = append(report.Findings, f)
		if !flags.asJSON {
			progress.print(func(w io.Writer) { writeFinding(w, f) })
		}
	}
	if err == nil {
		err = view.takeRights()
	}
	if err != nil {
		for _, text := range faultsOf(err) {
			tell(preflight.Finding{Check: "settings", Text: text + "."})
		}
	} else {
		for _, note := range view.notes {
			tell(preflight.Finding{Check: "environment", OK: true, Text: note})
		}
		text, readable := view.unreadable()
		if !readable {
			tell(preflight.Finding{Check: "environment", Text: text})
		}
		report.OK = preflight.Check(cmd.Context(), preflight.Options{
			Getenv: os.LookupEnv, Names: namesOfEnvironment(), Unit: view.unit, Report: tell, Version: version, Waiting: progress.begin,
		}) && readable
	}
	stop()
	if flags.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(report); err != nil {
			return err
		}
	}
	if !report.OK {
		return &exitError{code: exitFailure}
	}
	return nil
}

// takeRights takes those of the user that the unit names.
func (v serviceView) takeRights() error {
	switch {
	case v.file == "" || !v.asIs:
		return nil
	case v.unit != nil:
		return takeRightsOf(v.unit.User)
	default:
		return takeRightsOf(serviceUser)
	}
}

// unreadable says that the service's user, whose rights were taken, may not read the file that root could read.
func (v serviceView) unreadable() (text string, readable bool) {
	if v.file == "" {
		return "", true
	}
	file, err := os.Open(v.file)
	if err == nil {
		return "", file.Close() == nil
	}
	return fmt.Sprintf("The service's user may not read %s (%s), so the service does not start: chgrp %s %s && chmod 0640 %s.",
		v.file, reasonOf(err), serviceUser, v.file, v.file), false
}

func namesOfEnvironment() (names []string) {
	for _, assignment := range os.Environ() {
		name, _, _ := strings.Cut(assignment, "=")
		names = append(names, name)
	}
	return names
}

// allowPaths writes a drop-in with which the service may use the paths of its settings.
func allowPaths(out io.Writer, view serviceView, err error) error {
	switch {
	case err != nil:
		return err
	case view.unit == nil:
		return fmt.Errorf("there is no unit %s on this machine that starts the agent with these settings", serviceUnit)
	case os.Geteuid() != 0:
		return errors.New("only root may write a drop-in for the unit: run this with sudo")
	}
	lines, faults := view.unit.DropIn(os.LookupEnv)
	for _, text := range faults {
		fmt.Fprintln(out, "no drop-in can allow this:", text)
	}
	if len(lines) == 0 {
		fmt.Fprintln(out, "no drop-in is needed for the other paths: the unit allows them")
		return nil
	}
	path, text, err := writeDropIn(dropInDirectory, lines)
	if err != nil {
		return fmt.Errorf("cannot write the drop-in: %w", err)
	}
	fmt.Fprintf(out, "wrote %s:\n%s\nNow: systemctl daemon-reload && systemctl restart kvs-edge-agent\n", path, text)
	return nil
}

// faultsOf takes what is wrong with the settings apart.
func faultsOf(err error) []string {
	var wrong *settings.Error
	if errors.As(err, &wrong) {
		return wrong.Faults
	}
	return []string{err.Error()}
}

func writeFinding(w io.Writer, f preflight.Finding) {
	mark := "✘"
	if f.OK {
		mark = "✔"
	}
	what := f.Check
	if f.Stream != "" {
		what = f.Stream + " " + what
	}
	fmt.Fprintf(w, "%s %-22s %s\n", mark, what, f.Text)
}
