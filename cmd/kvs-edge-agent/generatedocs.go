package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func newGenerateDocsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "generate-docs DOCS FILES",
		Short:  "Write settings.md, logs.md, the API's table and openapi.json into the directory DOCS, man page and completions into FILES",
		Args:   arguments(2, 2, "name the directories DOCS and FILES"),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.WriteFile(filepath.Join(args[0], "settings.md"), settingsPage(), 0o644); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(args[0], "logs.md"), logevent.Page(), 0o644); err != nil {
				return err
			}
			if err := writeAPIPages(args[0]); err != nil {
				return err
			}
			if err := os.MkdirAll(args[1], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			if err := os.WriteFile(filepath.Join(args[1], "kvs-edge-agent.1"), manPage(root), 0o644); err != nil {
				return err
			}
			for name, write := range map[string]func(string) error{
				"kvs-edge-agent.bash": func(path string) error { return root.GenBashCompletionFileV2(path, true) },
				"kvs-edge-agent.zsh":  root.GenZshCompletionFile,
				"kvs-edge-agent.fish": func(path string) error { return root.GenFishCompletionFile(path, true) },
			} {
				if err := write(filepath.Join(args[1], name)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// settingsPage is docs/settings.md.
func settingsPage() []byte {
	var b bytes.Buffer
	b.WriteString("# Settings\n\nGenerated from the code by `make docs`.\n\n" +
		"All settings are environment variables; the service reads them from `/etc/kvs-edge-agent/agent.env`, which takes\n" +
		"precedence over `Environment=` of the unit. Its syntax is that of systemd.exec(5), `EnvironmentFile=`, but a line that systemd\n" +
		"would ignore (without `=`, or with `export`) is an error. All wrong settings are named at once, and nothing is started. A name\n" +
		"that begins like a setting, but is unknown, has no effect: the log, `status`, `check` and `reload` name it with the setting that\n" +
		"is probably meant.\n\n" +
		"After a change: `kvs-edge-agent check`, then `systemctl reload kvs-edge-agent`. Wrong settings then change nothing.\n" +
		"`check` sees what the service sees: the file, then the unit, and not the shell. `check --env-file FILE` sees what\n" +
		"`run --env-file FILE` does in the same shell. `status`, `reload`, `log-level`, `upload`, `segments`, `export`, `verify` and\n" +
		"`support-bundle` find the socket and the recordings in the same order; `--socket` and `--dir` take precedence.\n\n" +
		"The unit may not allow the service to use paths outside of `/var/lib/kvs-edge-agent`: `check` reports that, and\n" +
		"`check --write-drop-in`, as root, allows them. The last column says what a change needs:\n\n" +
		"| | |\n|---|---|\n" +
		"| " + string(settings.AtReload) + " | It takes effect at once; no recording is interrupted. |\n" +
		"| " + string(settings.AtReloadByRecordings) +
		" | Only the streams concerned end their file and reconnect to the camera, one after the other. |\n" +
		"| " + string(settings.AtReloadByUploads) + " | Each stream's upload continues in a new session; no recording is interrupted. |\n" +
		"| " + string(settings.AfterRestart) + " | `systemctl restart kvs-edge-agent`; until then `status` names the variable. |\n\n" +
		"The device certificate and its key may be replaced in their files at any time: each new connection reads them.\n" +
		"While they cannot be read or do not match, connections use the previous pair, and `status` reports it.\n\n" +
		"What the Go runtime reads at its start, `GOGC`, `GOMEMLIMIT`, `GODEBUG` or `GOMAXPROCS`, works in `Environment=` of the unit only.\n")
	for _, group := range settings.Variables() {
		fmt.Fprintf(&b, "\n## %s\n", group.Title)
		if group.Intro != "" {
			fmt.Fprintf(&b, "%s\n", group.Intro)
		}
		b.WriteString("\n| variable | meaning | default | a change needs |\n|---|---|---|---|\n")
		for _, v := range group.Variables {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Name, v.Meaning, orRequired(v.Default), v.Effect)
		}
	}
	b.WriteString("\n`GST_*`, `LD_LIBRARY_PATH` and `JAVA_*`, which AWS's agent wants, are ignored.\n")
	return b.Bytes()
}

func orRequired(text string) string {
	if text == "" {
		return "required"
	}
	return text
}

// manPage is kvs-edge-agent(1). Source of the macros: man(7).
func manPage(root *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH KVS-EDGE-AGENT 1 \"\" \"kvs-edge-agent\" \"User Commands\"\n.SH NAME\nkvs-edge-agent \\- %s\n", roff(root.Short))
	b.WriteString(".SH SYNOPSIS\n.B kvs-edge-agent\n.I COMMAND\n[\\fIOPTIONS\\fR]\n.SH COMMANDS\n")
	for _, cmd := range root.Commands() {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		writeManCommand(&b, cmd)
	}
	b.WriteString(".SH ENVIRONMENT\n")
	for _, group := range settings.Variables() {
		fmt.Fprintf(&b, ".SS %s\n", roff(group.Title))
		for _, v := range group.Variables {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s Default: %s. A change needs: %s.\n", v.Name, roff(v.Meaning), roff(orRequired(v.Default)),
				roff(string(v.Effect)))
		}
	}
	b.WriteString(`.SH FILES
.TP
.I /etc/kvs-edge-agent/agent.env
The settings of the service; after a change,
.BR "systemctl reload kvs-edge-agent" .
.TP
.I /var/lib/kvs-edge-agent
State and recordings.
.TP
.I /var/log/kvs-edge-agent
Log files.
.TP
.I /run/kvs-edge-agent/agent.sock
The local API.
.SH EXIT STATUS
0 for success, 1 for a negative answer or a failure, 2 for wrong settings or arguments.
.B status
returns 0 for healthy, 1 for degraded, 2 for down.
`)
	return b.Bytes()
}

func writeManCommand(b *bytes.Buffer, cmd *cobra.Command) {
	for _, sub := range append([]*cobra.Command{cmd}, cmd.Commands()...) {
		fmt.Fprintf(b, ".SS \"%s\"\n", roff(strings.TrimPrefix(sub.UseLine(), "kvs-edge-agent ")))
		text := sub.Long
		if text == "" {
			text = sub.Short + "."
		}
		for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
			fmt.Fprintf(b, "%s\n.PP\n", roff(paragraph))
		}
		sub.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || f.Name == "help" {
				return
			}
			kind, usage := pflag.UnquoteUsage(f)
			fmt.Fprintf(b, ".TP\n.B \\-\\-%s %s\n%s\n", roff(f.Name), roff(kind), roff(usage+defaultOf(f)))
		})
	}
}

// defaultOf is the default of a flag where its text does not say it; what is empty or off needs no word.
func defaultOf(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
		return ""
	}
	if strings.Contains(f.Usage, "(default") {
		return ""
	}
	return " (default " + f.DefValue + ")"
}

// roff escapes text for man(7).
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", "").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		lines[i] = line
	}
	return strings.Join(lines, "\n")
}
