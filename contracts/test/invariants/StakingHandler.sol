// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Base} from "../Base.sol";
import {DevelopmentCAI} from "../../src/DevelopmentCAI.sol";
import {Staking} from "../../src/Staking.sol";
import {Role} from "../../src/interfaces/INodeRegistry.sol";
import {Unbonding} from "../../src/interfaces/IStaking.sol";

/// @notice Makes random calls that must succeed, as owners, voters and slasher, and keeps its own books.
/// @dev Every action ends in a new block, so that the weights of the block before can be read.
contract StakingHandler is Base {
    uint256 internal constant NODES = 3;
    uint256 internal constant ACCOUNTS = 7; // three owners, then four voters

    DevelopmentCAI public immutable TOKEN;
    Staking public staking;

    uint256 public deposited;
    uint256 public withdrawn;
    uint256 public donated;
    /// @dev In any one step but a slash; must stay false.
    bool public sharePriceFell;
    uint256 public steps;
    mapping(address node => bool) public everSlashed;
    /// @dev Slashed, or somebody has taken back a fraction of a wei and left it to the others.
    mapping(address node => bool) public everRounded;
    mapping(address node => mapping(address account => uint256)) public depositedBy;
    mapping(address node => mapping(address account => uint256)) public withdrawnBy;

    struct Sample {
        uint256 blockNumber;
        uint256 weight;
    }

    mapping(address node => Sample) public samples;
    uint256[] internal _openRequests;
    address[] internal _nodes; // deriving an address from a key is the slowest thing here

    constructor(DevelopmentCAI token) {
        TOKEN = token;
        for (uint256 i = 0; i < NODES; ++i) {
            _nodes.push(vm.addr(nodeKey(i)));
        }
    }

    function start(Staking staking_) external {
        staking = staking_;
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            TOKEN.transfer(account(i), 50_000_000 ether);
            vm.prank(account(i));
            TOKEN.approve(address(staking), type(uint256).max);
        }
        for (uint256 i = 0; i < NODES; ++i) {
            Role role = i == 0 ? Role.Coordinator : Role.Miner;
            uint256 amount = staking.minimumOwnStake(role) + 1 ether;
            uint256 until = vm.getBlockTimestamp();
            bytes32 digest = staking.consentDigest(account(i), node(i), role, until);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(nodeKey(i), digest);
            vm.prank(account(i));
            staking.register(role, node(i), "", amount, until, abi.encodePacked(r, s, v));
            book(node(i), account(i), amount);
        }
        vm.roll(vm.getBlockNumber() + 1);
    }

    modifier step(uint256 nodeSeed, bool slashes) {
        address node_ = node(nodeSeed);
        (uint256 stakeBefore, uint256 sharesBefore) = price(node_);
        _;
        (uint256 stakeAfter, uint256 sharesAfter) = price(node_);
        // stakeAfter / sharesAfter < stakeBefore / sharesBefore, without dividing.
        if (!slashes && stakeAfter * sharesBefore < stakeBefore * sharesAfter) sharePriceFell = true;
        ++steps;
        vm.roll(vm.getBlockNumber() + 1);
    }

    function addStake(uint256 nodeSeed, uint256 amount) external step(nodeSeed, false) {
        if (isJailed(nodeSeed)) return;
        address owner = account(nodeSeed % NODES);
        amount = amountOf(owner, amount);
        vm.prank(owner);
        staking.addStake(node(nodeSeed), amount);
        book(node(nodeSeed), owner, amount);
    }

    function vote(uint256 nodeSeed, uint256 accountSeed, uint256 amount) external step(nodeSeed, false) {
        address voter = account(accountSeed);
        bool own = staking.ownerOf(node(nodeSeed)) == voter;
        if (own || !staking.nodeInfo(node(nodeSeed)).active) return;
        amount = amountOf(voter, amount);
        vm.prank(voter);
        staking.vote(node(nodeSeed), amount);
        book(node(nodeSeed), voter, amount);
    }

    function unvote(uint256 nodeSeed, uint256 accountSeed, uint256 shares) external step(nodeSeed, false) {
        address node_ = node(nodeSeed);
        address account_ = account(accountSeed);
        uint256 available = staking.sharesOf(node_, account_);
        if (staking.stakeOf(node_, account_) == 0) return;
        // Less than two wei may be worth nothing when rounded down; then take everything.
        uint256 least = 2 * available / staking.stakeOf(node_, account_) + 1;
        bool wholeWei = shares % 4 != 0 && !everSlashed[node_];
        shares = least >= available ? available : bound(shares, least, available);
        if (wholeWei && shares > 1e6) shares -= shares % 1e6;
        if (shares % 1e6 != 0) everRounded[node_] = true;
        vm.prank(account_);
        _openRequests.push(staking.unvote(node_, shares));
    }

    function withdraw(uint256 seed) external {
        if (_openRequests.length == 0) return;
        uint256 index = seed % _openRequests.length;
        uint256 requestId = _openRequests[index];
        Unbonding memory request = staking.unbonding(requestId);
        if (vm.getBlockTimestamp() < request.releaseTime) vm.warp(request.releaseTime);
        vm.prank(request.account);
        uint256 amount = staking.withdraw(requestId);
        withdrawn += amount;
        withdrawnBy[request.node][request.account] += amount;
        _openRequests[index] = _openRequests[_openRequests.length - 1];
        _openRequests.pop();
        vm.roll(vm.getBlockNumber() + 1);
    }

    /// @dev One call in four slashes; else everybody would be jailed at once.
    function slash(uint256 nodeSeed, uint256 reporterSeed, uint256 fraction, uint256 share)
        external
        step(nodeSeed, true)
    {
        if (fraction % 4 != 0) return;
        fraction = bound(fraction / 4, 1, 10_000);
        staking.slash(node(nodeSeed), fraction, account(reporterSeed), bound(share, 0, 5_000));
        everSlashed[node(nodeSeed)] = true;
        everRounded[node(nodeSeed)] = true;
    }

    function withdrawReward(uint256 accountSeed) external step(0, false) {
        address account_ = account(accountSeed);
        if (staking.rewardOf(account_) == 0) return;
        vm.prank(account_);
        withdrawn += staking.withdrawReward();
    }

    /// @dev Tokens sent without a call belong to nobody and must change nothing.
    function donate(uint256 amount) external step(0, false) {
        amount = bound(amount, 1, 1 ether);
        TOKEN.transfer(address(staking), amount);
        donated += amount;
    }

    function sample(uint256 nodeSeed) external step(nodeSeed, false) {
        uint256 blockNumber = vm.getBlockNumber() - 1;
        address node_ = node(nodeSeed);
        if (samples[node_].blockNumber != 0) return;
        samples[node_] = Sample(blockNumber, staking.weightAt(node_, blockNumber));
    }

    function book(address node_, address account_, uint256 amount) internal {
        deposited += amount;
        depositedBy[node_][account_] += amount;
    }

    /// @dev Usually dust, sometimes a lot: rounding hides in dust.
    function amountOf(address account_, uint256 amount) internal view returns (uint256) {
        uint256 balance = TOKEN.balanceOf(account_);
        return bound(amount, 1, amount % 3 == 0 && balance > 1 ? balance / 2 : 1000);
    }

    function isJailed(uint256 nodeSeed) internal view returns (bool) {
        return staking.nodeInfo(node(nodeSeed)).jailed;
    }

    function price(address node_) internal view returns (uint256 stake, uint256 shares) {
        stake = staking.nodeInfo(node_).totalStake + 1;
        shares = sharesSum(node_) + 1e6;
    }

    function sharesSum(address node_) public view returns (uint256 sum) {
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            sum += staking.sharesOf(node_, account(i));
        }
    }

    function unbondingOf(address node_, address account_) public view returns (uint256 sum) {
        for (uint256 i = 0; i < _openRequests.length; ++i) {
            Unbonding memory request = staking.unbonding(_openRequests[i]);
            if (request.node == node_ && request.account == account_) sum += request.amount;
        }
    }

    function nodeKey(uint256 seed) internal pure returns (uint256) {
        return 0xC0FFEE + seed % NODES;
    }

    function node(uint256 seed) public view returns (address) {
        return _nodes[seed % NODES];
    }

    function account(uint256 seed) public pure returns (address) {
        return address(uint160(0xACC0000 + seed % ACCOUNTS));
    }

    function nodes() external pure returns (uint256) {
        return NODES;
    }

    function accounts() external pure returns (uint256) {
        return ACCOUNTS;
    }
}
