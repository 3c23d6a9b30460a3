import { exactTime, number, pageOf, plural } from '../ui/format';
import { Curve } from './Curve';
import { Found, ROWS_SHOWN } from './Found';
import { Frame } from './Frame';
import { Bar, Card, Counts, Pill, Tile } from './parts';
import type { BalancerEvent, BalancerStatus, ServerRow } from './status';
import { getsClients, stateOfBalancer, stateOfRow } from './tone';
import type { Watched } from './watch';

export function BalancerPage({ watched }: { watched: Watched<BalancerStatus> }) {
  const { status } = watched;
  const [assigned = []] = watched.rates;
  const last = assigned.at(-1);
  return (
    <Frame role="Load balancer" watched={watched} state={stateOfBalancer(status)}>
      {status && (
        <>
          <div className="tiles">
            <Tile
              label="Servers available"
              value={`${status.servers.filter(getsClients).length} / ${status.servers.length}`}
              note={`${plural(sum(status.servers.map(({ connections }) => connections)), 'connection')} on all of them`}
            />
            <Tile
              label="Assignments / s"
              value={last === undefined ? '–' : number(Math.round(last))}
              note={`${number(status.assignedTotal)} in all`}
            >
              <Curve values={assigned} />
            </Tile>
            <Tile
              label="Proxied"
              value={status.proxied}
              note={`connections now; ${number(status.movedTotal)} moved to another server`}
            />
            <Tile
              label="Turned away"
              value={status.unavailableTotal}
              note={`no server was there; ${plural(status.delayedTotal, 'other')} got a turn`}
            />
          </div>
          <Servers servers={status.servers} />
          <div className="columns">
            <Events events={status.events} />
            <Card title="Heartbeats" aside="since the start">
              <Counts
                counts={[
                  ['Accepted', status.heartbeats.accepted],
                  ['Refused: malformed', status.heartbeats.malformed],
                  ['Refused: another version', status.heartbeats.version],
                  ['Refused: not signed with our key', status.heartbeats.forged],
                  ['Refused: stale', status.heartbeats.stale],
                  ['Refused: under the name of another', status.heartbeats.namesake],
                  ['Refused: table full', status.heartbeats.table_full],
                ]}
              />
            </Card>
          </div>
        </>
      )}
    </Frame>
  );
}

/** Where not all are shown, those that get no clients come first: they are what somebody looks for. */
function Servers({ servers }: { servers: readonly ServerRow[] }) {
  const many = servers.length > ROWS_SHOWN;
  const ordered = many ? [...servers.filter((row) => !getsClients(row)), ...servers.filter(getsClients)] : servers;
  return (
    <Card title="Servers" aside="the next client goes to the least loaded one">
      {servers.length === 0 && <p className="nothing">No server has sent a heartbeat yet.</p>}
      <Found
        items={ordered}
        nameOf={({ name }) => name}
        total={servers.length}
        one="server"
        order="those that get no clients first"
      >
        {(shown) => (
          <div className="table-scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">Server</th>
                  <th scope="col">State</th>
                  <th scope="col" className="load">
                    Connections
                  </th>
                  <th scope="col">In flight</th>
                  <th scope="col">Proxied</th>
                  <th scope="col">Assigned</th>
                  <th scope="col">Loop lag</th>
                  <th scope="col">Heartbeat</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((server) => (
                  <tr key={server.name} data-off={!getsClients(server)}>
                    <th scope="row">
                      <a href={pageOf(server.url)}>{server.name}</a>
                    </th>
                    <td>
                      <Pill {...stateOfRow(server)} />
                    </td>
                    <td className="load">
                      <Bar value={server.connections + server.inFlight} max={server.capacity}>
                        <span className="bar-value">
                          {number(server.connections)} <span className="faint">/ {number(server.capacity)}</span>
                        </span>
                      </Bar>
                    </td>
                    <td>{number(server.inFlight)}</td>
                    <td>{number(server.proxied)}</td>
                    <td>{number(server.assigned)}</td>
                    <td>{number(server.loopLagMs)} ms</td>
                    <td>{ago(server.lastHeartbeatMs)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Found>
    </Card>
  );
}

function Events({ events }: { events: readonly BalancerEvent[] }) {
  return (
    <Card title="Log" aside="newest first">
      {events.length === 0 ? (
        <p className="nothing">Nothing has happened yet.</p>
      ) : (
        <ol className="events" tabIndex={0} aria-label="Log">
          {events
            .map((event, index) => (
              <li key={index} data-kind={event.kind}>
                <time dateTime={new Date(event.time).toISOString()}>{exactTime(event.time)}</time>
                <span>{event.text}</span>
              </li>
            ))
            .reverse()}
        </ol>
      )}
    </Card>
  );
}

function ago(ms: number): string {
  return ms < 1_000 ? `${ms} ms ago` : `${number(Math.round(ms / 1_000))} s ago`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
