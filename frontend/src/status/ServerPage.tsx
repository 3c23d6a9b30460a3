import { duration, number, plural } from '../ui/format';
import { Curve } from './Curve';
import { Frame } from './Frame';
import { Bar, Card, Counts, Pill, Tile } from './parts';
import type { BackplaneStatus, ServerStatus } from './status';
import { stateOfLane, stateOfServer } from './tone';
import type { Watched } from './watch';

export function ServerPage({ watched }: { watched: Watched<ServerStatus> }) {
  const { status } = watched;
  const [messages = [], deliveries = []] = watched.rates;
  return (
    <Frame role="Application server" watched={watched} state={stateOfServer(status)}>
      {status && (
        <>
          <div className="tiles">
            <Tile label="Connections" value={status.connections} note={`of ${number(status.connectionsMax)} at most`}>
              <Bar value={status.connections} max={status.connectionsMax} />
            </Tile>
            <Tile label="Messages / s" value={perSecond(messages)} note={`${number(status.totals.messages)} in all`}>
              <Curve values={messages} />
            </Tile>
            <Tile
              label="Deliveries / s"
              value={perSecond(deliveries)}
              note={`${number(status.totals.deliveries)} in all`}
            >
              <Curve values={deliveries} />
            </Tile>
          </div>
          <div className="columns">
            <div className="stack">
              <Rooms status={status} />
              <Card title="Totals" aside="since the start">
                <Counts
                  counts={[
                    ['Accepted', status.totals.accepted],
                    ['Writes', status.totals.writes],
                    ['Turns', status.totals.turns],
                    ['Errors', status.totals.errors],
                    ['Closed as too slow', status.totals.closed_slow],
                  ]}
                />
              </Card>
            </div>
            <div className="stack">
              <Backplane backplane={status.backplane} />
              <Lanes lanes={status.backplane.lanes} />
              <Card title="Reactors" aside="connections of each">
                <ul className="bars">
                  {status.reactors.map(({ connections }, index) => (
                    <li key={index}>
                      <Bar value={connections} max={status.connections}>
                        <span className="bar-value">{number(connections)}</span>
                      </Bar>
                    </li>
                  ))}
                </ul>
              </Card>
            </div>
          </div>
        </>
      )}
    </Frame>
  );
}

function Rooms({ status: { rooms, roomsTotal } }: { status: ServerStatus }) {
  const more = roomsTotal - rooms.length;
  return (
    <Card title="Rooms" aside={plural(roomsTotal, 'room')}>
      {rooms.length === 0 ? (
        <p className="nothing">Nobody is here yet.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th scope="col">Room</th>
              <th scope="col">Users</th>
              <th scope="col">Here</th>
              <th scope="col">Messages</th>
            </tr>
          </thead>
          <tbody>
            {rooms.map(({ room, users, membersHere, messages }) => (
              <tr key={room}>
                <th scope="row">
                  <bdi>{room}</bdi>
                </th>
                <td>{number(users)}</td>
                <td>{number(membersHere)}</td>
                <td>{number(messages)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {more > 0 && <p className="nothing">and {plural(more, 'more room', 'more rooms')}</p>}
    </Card>
  );
}

function Backplane({ backplane: { kind, ready, peers } }: Pick<ServerStatus, 'backplane'>) {
  return (
    <Card title="Backplane" aside={kind}>
      <ul className="peers">
        <li>
          <span>This server</span>
          <Pill tone={ready ? 'good' : 'bad'} label={ready ? 'ready' : 'not ready'} />
        </li>
        {peers.map(({ name, up }) => (
          <li key={name}>
            <span>{name}</span>
            <Pill tone={up ? 'good' : 'bad'} label={up ? 'up' : 'down'} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** Absent where there are none: servers in one process need no way to each other. */
function Lanes({ lanes }: Pick<BackplaneStatus, 'lanes'>) {
  if (lanes.length === 0) return null;
  const up = lanes.filter((lane) => stateOfLane(lane).tone === 'good').length;
  return (
    <Card title="Lanes" aside={`${up} of ${plural(lanes.length, 'Redis node')} up`}>
      <ul className="peers">
        {lanes.map((lane) => (
          <li key={lane.node}>
            <div className="lane">
              <span>{lane.node}</span>
              {lane.reason !== null && <p className="faint">{lane.reason}</p>}
            </div>
            <span className="lane-state">
              <span className="faint">{duration(lane.forSeconds)}</span>
              <Pill {...stateOfLane(lane)} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function perSecond(values: readonly number[]): string {
  const last = values.at(-1);
  return last === undefined ? '–' : number(Math.round(last));
}
