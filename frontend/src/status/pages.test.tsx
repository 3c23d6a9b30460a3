// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen, within } from '@testing-library/react';
import { exactTime } from '../ui/format';
import { afterEach, describe, expect, test } from 'vitest';
import { goldenStatus } from '../client/testing/golden';
import { BalancerPage } from './BalancerPage';
import { ServerPage } from './ServerPage';
import { decodeBalancer, decodeServer, type ServerStatus } from './status';
import type { Watched } from './watch';

afterEach(cleanup);

const server = decodeServer(JSON.stringify(goldenStatus.app));
const balancer = decodeBalancer(JSON.stringify(goldenStatus.balancer));
const cells = (name: RegExp) =>
  within(screen.getByRole('row', { name }))
    .getAllByRole('cell')
    .map((cell) => cell.textContent);
const watched = <Status,>(
  status: Status | null,
  rates: number[][] = [],
  unreachable: Watched<Status>['unreachable'] = null,
): Watched<Status> => ({ status, live: false, unreachable, rates });
/** The clock that measures began at another time than the one on the wall. */
const silence = { sinceMs: 8_000, wallTime: Date.UTC(2026, 10, 30, 19, 20, 21) };
const tile = (name: string) => screen.getByRole('region', { name }).textContent;

const server200 = server && {
  ...server,
  roomsTotal: 1_200,
  rooms: Array.from({ length: 200 }, (_room, index) => ({
    ...{ room: `Room ${index + 1}`, users: 200 - index, membersHere: 1, messages: 0 },
  })),
};
const rowNames = () => screen.getAllByRole('rowheader').map(({ textContent }) => textContent);
const type = (label: string, value: string) => fireEvent.change(screen.getByLabelText(label), { target: { value } });
/** What is there without opening anything: happy-dom draws folded lines too. */
const unfolded = (region: string) =>
  within(screen.getByRole('region', { name: region }))
    .getAllByRole('listitem')
    .filter((item) => !item.closest('details'))
    .map(({ textContent }) => textContent);

describe('a server', () => {
  test('with many rooms shows twenty, and finds the others by name', () => {
    render(<ServerPage watched={watched(server200)} />);
    expect(rowNames()).toEqual(server200?.rooms.slice(0, 20).map(({ room }) => room));
    expect(tile('Rooms')).toContain('1,200 rooms');
    expect(tile('Rooms')).toContain('20 of 200 are shown, those with the most users first.');
    expect(tile('Rooms')).toContain('does not know the names of 1,000 other rooms');
    type('Find a room', ' ROOM 19');
    expect(rowNames()).toEqual(['Room 19', ...Array.from({ length: 10 }, (_room, index) => `Room 19${index}`)]);
    expect(screen.getAllByRole('status').at(-1)?.textContent).toBe('11 of 200 rooms found');
    type('Find a room', 'room 1');
    expect(rowNames()).toHaveLength(20);
    expect(tile('Rooms')).toContain('20 of 111 are shown');
    type('Find a room', 'nobody');
    expect(screen.queryByRole('table')).toBeNull();
    expect(screen.getAllByRole('status').at(-1)?.textContent).toBe('0 of 200 rooms found');
  });

  test('keeps what is searched for when there are fewer rooms', () => {
    const { rerender } = render(<ServerPage watched={watched(server200)} />);
    type('Find a room', 'lob');
    rerender(<ServerPage watched={watched(server)} />);
    expect(rowNames()).toEqual(['lobby']);
    type('Find a room', '');
    expect(rowNames()).toEqual(['lobby', 'news']);
    expect(screen.queryByLabelText('Find a room')).toBeNull();
  });

  test('with many peers, nodes and cores folds what is well', () => {
    if (!server) throw new Error('the golden example is no status');
    const peers = Array.from({ length: 50 }, (_peer, index) => ({ name: `app-${index}`, up: index !== 49 }));
    const lanes = Array.from({ length: 64 }, (_lane, index) => ({
      ...{ node: `redis-${index}`, state: index === 63 ? 'deaf' : 'up', reason: null, forSeconds: 5 },
    }));
    const reactors = Array.from({ length: 64 }, () => ({ connections: 1 }));
    const status = { ...server, reactors, backplane: { ...server.backplane, peers, lanes } };
    render(<ServerPage watched={watched(status)} />);
    expect(unfolded('Backplane').slice(0, 3)).toEqual(['This serverready', 'app-49down', 'app-0up']);
    expect(unfolded('Lanes').slice(0, 2)).toEqual(['redis-635 sdeaf', 'redis-05 sup']);
    expect(['Backplane', 'Lanes', 'Reactors'].map((region) => unfolded(region).length)).toEqual([10, 10, 10]);
    expect(screen.getAllByText(/^\d+ more$/).map(({ textContent }) => textContent)).toEqual([
      ...['41 more', '54 more', '54 more'],
    ]);
  });

  test('shows its rooms, its load and its peers', () => {
    render(<ServerPage watched={watched(server, [[3, 7.4], [15]])} />);
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('app-1 ready');
    expect(cells(/^lobby/)).toEqual(['3', '2', '40']);
    expect(cells(/^news/)).toEqual(['1', '0', '0']);
    expect(tile('Connections')).toContain('3of 18,000 at most');
    expect(tile('Messages / s')).toContain('740 in all');
    expect(screen.getAllByRole('listitem').map(({ textContent }) => textContent)).toEqual(
      expect.arrayContaining(['app-2up', 'app-3down']),
    );
  });

  test('shows its lanes, and why one is not up', () => {
    render(<ServerPage watched={watched(server)} />);
    const lanes = screen.getByRole('region', { name: 'Lanes' });
    expect(lanes.textContent).toContain('1 of 4 Redis nodes up');
    expect(
      within(lanes)
        .getAllByRole('listitem')
        .map(({ textContent }) => textContent),
    ).toEqual([
      '127.0.0.1:64020 ssuspect',
      '127.0.0.1:6403connection refused7 sconnecting',
      '127.0.0.1:6404Redis 6.2.7 has no sharded pub/sub: Redis 7 or newer is needed9 srefused',
      '127.0.0.1:640112 sup',
    ]);
  });

  test('whose bus is embedded has no lanes to show', () => {
    if (!server) throw new Error('the golden example is no status');
    const status = { ...server, backplane: { ...server.backplane, kind: 'embedded', lanes: [] } };
    render(<ServerPage watched={watched(status)} />);
    expect(screen.getByText('embedded, 1 of 2 peers up')).toBeTruthy();
    expect(screen.queryByText('Lanes')).toBeNull();
  });

  test('that is silent keeps its last numbers', () => {
    render(<ServerPage watched={watched(server, [], silence)} />);
    expect(screen.getByText(/^Unreachable since/).textContent).toContain(exactTime(silence.wallTime));
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('app-1 unreachable');
    expect(cells(/^lobby/)).toEqual(['3', '2', '40']);
  });

  test('that never answered has nothing to show', () => {
    render(<ServerPage watched={watched<ServerStatus>(null, [], silence)} />);
    expect(screen.getByText(/^Unreachable since/).textContent).toContain(exactTime(silence.wallTime));
    expect(screen.queryByRole('table')).toBeNull();
  });
});

test.each([
  [true, 'Live'],
  [false, 'Read every second'],
])('whether it is live: %s', (live, words) => {
  render(<BalancerPage watched={{ ...watched(balancer), live }} />);
  expect(screen.getByText(words)).toBeTruthy();
});

describe('a balancer', () => {
  test('shows its servers, and leads to their pages', () => {
    render(<BalancerPage watched={watched(balancer, [[2]])} />);
    expect(cells(/^app-1/)).toEqual(['up', '12 / 20,000', '1', '4', '34', '0.4 ms', '120 ms ago']);
    expect(cells(/^app-2/)).toEqual(['gone', '0 / 20,000', '0', '0', '3', '0 ms', '5 s ago']);
    expect(screen.getByRole('link', { name: 'app-1' }).getAttribute('href')).toBe('http://localhost:5001/');
    expect(tile('Servers available')).toContain('1 / 2');
    expect(tile('Assignments / s')).toContain('234 in all');
    expect(tile('Proxied')).toContain('4connections now; 3 moved to another server');
    expect(tile('Turned away')).toContain('1no server was there; 0 others got a turn');
  });

  test('with many servers shows those first that get no clients, and finds the others', () => {
    const [row] = balancer?.servers ?? [];
    if (!balancer || !row) throw new Error('the golden example is no status');
    const servers = Array.from({ length: 50 }, (_row, index) => ({
      ...{ ...row, name: `app-${index}`, deaf: index === 49 },
    }));
    render(<BalancerPage watched={watched({ ...balancer, servers })} />);
    expect(rowNames()).toHaveLength(20);
    expect(rowNames().slice(0, 2)).toEqual(['app-49', 'app-0']);
    expect(tile('Servers')).toContain('20 of 50 are shown, those that get no clients first.');
    expect(tile('Servers available')).toContain('49 / 50');
    type('Find a server', 'app-33');
    expect(rowNames()).toEqual(['app-33']);
  });

  test('counts the heartbeats that it refuses, by rule', () => {
    render(<BalancerPage watched={watched(balancer)} />);
    const card = screen.getByRole('region', { name: 'Heartbeats' }).textContent;
    expect(card).toContain('Refused: stale2');
    expect(card).toContain('Refused: not signed with our key0');
    expect(card).toContain('Refused: under the name of another0');
  });

  test('that is leaving says so', () => {
    if (!balancer) throw new Error('the golden example is no status');
    render(<BalancerPage watched={watched({ ...balancer, draining: true, ready: false })} />);
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('lb-1 draining');
  });

  test('logs the newest first', () => {
    render(<BalancerPage watched={watched(balancer)} />);
    const [newest, , oldest] = within(screen.getByRole('list', { name: 'Log' })).getAllByRole('listitem');
    expect(newest?.textContent).toContain('app-1 is up');
    expect(oldest?.textContent).toContain('Client sent to app-2');
  });
});
