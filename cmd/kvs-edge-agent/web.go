package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/web/signin"
)

func newWebCommand() *cobra.Command {
	var socket, role string
	cmd := &cobra.Command{
		Use:   "web",
		Short: "Print where the web pages are, and a link that signs in",
		Long: `Print the address of the web pages of the running agent and a link that signs a browser in. The link works once, and
within 5 minutes. The agent serves the pages when AWS_KVS_EDGE_WEB_ADDRESS is set. Where its certificate is one that the agent made
itself, browsers warn of it: compare its fingerprint with the one that is printed here.

Exit code: 0 when a link is printed, 1 when the pages are not served, 2 for wrong arguments or when no agent is running.`,
		Example: `  kvs-edge-agent web
  kvs-edge-agent web --role operate`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := signin.ParseRole(role); err != nil {
				return &exitError{exitSettings, fmt.Errorf("--role: %w", err)}
			}
			link, err := askRunning(socket, func(c *localapi.Client) (localapi.WebLink, error) {
				return c.WebLink(cmd.Context(), localapi.WebLinkRequest{Role: role})
			})
			if err != nil {
				return err
			}
			writeWebLink(cmd.OutOrStdout(), link, hubAddresses(), time.Now())
			return nil
		},
	}
	cmd.Flags().StringVar(&role, "role", string(signin.View), "what the link allows: view, or operate to change something")
	socketFlag(cmd, &socket)
	cmd.AddCommand(newWebPasswordCommand())
	return cmd
}

func newWebPasswordCommand() *cobra.Command {
	var socket, role string
	var remove bool
	cmd := &cobra.Command{
		Use:   "password --role ROLE",
		Short: "Set the password of a role of the web pages",
		Long: `Set the password of a role of the web pages, which is read from the terminal, or as a line of the standard input. It has
at least 10 characters. All sessions of that role end. A role has no password until one is set; links of
"kvs-edge-agent web" work without.

Exit code: 0 when the password is set, 1 when it is refused, 2 for wrong arguments or when no agent is running.`,
		Example: `  kvs-edge-agent web password --role view
  kvs-edge-agent web password --role operate < /root/operate.password
  kvs-edge-agent web password --role view --remove`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := signin.ParseRole(role); err != nil {
				return &exitError{exitSettings, fmt.Errorf("--role: %w", err)}
			}
			in := localapi.WebPassword{Role: role}
			if !remove {
				var err error
				if in.Password, err = readPassword(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), role); err != nil {
					return &exitError{exitSettings, err}
				}
			}
			_, err := askRunning(socket, func(c *localapi.Client) (struct{}, error) {
				return struct{}{}, c.SetWebPassword(cmd.Context(), in)
			})
			if err != nil {
				return err
			}
			done := "is set"
			if remove {
				done = "is removed"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "the password of the role %s %s\n", role, done)
			return err
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "the role: view, or operate")
	cmd.Flags().BoolVar(&remove, "remove", false, "remove the password: nobody signs in with it")
	socketFlag(cmd, &socket)
	return cmd
}

// writeWebLink prints a link. Where the pages listen on all addresses, hosts are those of this machine.
func writeWebLink(w io.Writer, link localapi.WebLink, hosts []string, now time.Time) {
	fmt.Fprintf(w, "The web pages of this hub are at\n\n  %s\n", link.URL)
	if listen, err := netip.ParseAddrPort(link.Address); err == nil && listen.Addr().IsUnspecified() {
		if at, err := url.Parse(link.URL); err == nil {
			if link.Fingerprint != "" && !link.SelfSigned {
				hosts = link.Names
			}
			for _, host := range hosts {
				if host == at.Hostname() {
					continue
				}
				at.Host = net.JoinHostPort(host, fmt.Sprint(listen.Port()))
				fmt.Fprintf(w, "  %s\n", at)
			}
		}
	}
	fmt.Fprintf(w, "\nThis link signs in, once, within %s. Each of these addresses can be before its path:\n\n  %s%s\n",
		humanize.Span(link.Expires.Sub(now).Round(time.Minute)), link.URL, link.Path)
	if link.Trouble != "" {
		fmt.Fprintf(w, "\nBrowsers will warn of its certificate: %s.\n", link.Trouble)
	}
	if link.SelfSigned {
		fmt.Fprintf(w, "\nThe agent made its certificate itself: a browser warns of it, and shows this SHA-256 fingerprint when it is the "+
			"hub's:\n\n  %s\n", link.Fingerprint)
	}
}

// hubAddresses are those of this machine in its networks.
func hubAddresses() (list []string) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if ip := prefix.Addr(); err == nil && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			list = append(list, ip.String())
		}
	}
	return list
}
